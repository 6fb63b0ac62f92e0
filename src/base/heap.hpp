// The C library's heap, where its habits matter to a process that runs for months on little memory.
#pragma once

namespace dotrelay {

/// Lets long buffers have pages of their own, which go back to the system when they are freed. To be called before any
/// of them is made.
void begin_heap();

/// Gives pages that are free back to the system. It walks through the heap: once in a while.
void give_back_heap();

}  // namespace dotrelay
