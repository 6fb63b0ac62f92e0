// See heap.hpp. Only glibc keeps what was freed: musl gives pages back by itself.
#include "base/heap.hpp"

#include <cstdlib>  // tells which C library it is
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace dotrelay {

#ifdef __GLIBC__

// glibc begins with this limit, but raises it to the longest buffer that was ever freed (mallopt(3)).
void begin_heap() { mallopt(M_MMAP_THRESHOLD, 128 * 1024); }

void give_back_heap() { malloc_trim(0); }

#else

void begin_heap() {}
void give_back_heap() {}

#endif

}  // namespace dotrelay
