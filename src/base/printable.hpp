// Texts that quote what others chose (certificates, answers, file names), made harmless for logs, terminals and
// clients.
#pragma once

#include <string>
#include <string_view>

namespace dotrelay {

/// `text` with a question mark in place of each control character (U+0000 to U+001F, U+007F to U+009F) and of each
/// octet that is not part of well-formed UTF-8. So no octet of it starts a line or steers a terminal.
std::string printable(std::string_view text);

}  // namespace dotrelay
