// The owner of a descriptor has moved to base; this name stays for includes that are on their way.
#pragma once

#include "base/unique_fd.hpp"
