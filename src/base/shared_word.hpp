// A word in memory that processes share, which may die between any two instructions: each change of it is whole or does
// not happen, and no lock is left behind. 32 bits, because some CPUs of gateways (MIPS32, ARM before v7, 32-bit RISC-V)
// change no more at once.
#pragma once

#include <atomic>
#include <cstdint>

namespace dotrelay {

using SharedWord = std::atomic<std::uint32_t>;

// ARM before v6 has no instruction for it either. There Linux does it (kernel_user_helpers), which the compiler does
// not call lock-free "always".
#if !defined(__arm__) || defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_4)
static_assert(SharedWord::is_always_lock_free);
#endif

}  // namespace dotrelay
