// The main() of every unit test executable, and the one unit that compiles doctest itself.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
