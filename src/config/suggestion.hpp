// Which known name was meant by an unknown one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dotrelay {

/// "; did you mean "x"?" when one of `known` is close, else "; there is: " and all of them. `known` is not empty.
std::string suggestion(std::string_view unknown, const std::vector<std::string_view>& known);

}  // namespace dotrelay
