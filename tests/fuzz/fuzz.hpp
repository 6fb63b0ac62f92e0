// What the fuzz targets share: each hands arbitrary octets to one parser and asserts what must hold whatever they are.
// A failed assertion, a sanitizer report or a time-out is a finding; libFuzzer then keeps the input.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

#ifdef NDEBUG
#error the fuzz targets need assert()
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Undefined behaviour ends the run instead of printing a line that is not read.
extern "C" const char* __ubsan_default_options();
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }
