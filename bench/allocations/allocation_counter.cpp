// Preloaded into a program (LD_PRELOAD), it counts what the program asks of the heap, for `./dev bench` to read
// meanwhile.
//
// The counters live in the file $ALLOCATION_COUNTS/PID, mapped shared: reading them neither stops nor wakes the
// process. With $ALLOCATION_STACKS a table of call stacks follows them, so that a count has a culprit; that is slow.
// The file's layout is read by __init__.py. For glibc only, and of no use in a static program. A realloc counts as one
// allocation, and of a block also as one free; operator new reaches malloc or aligned_alloc and is counted there.
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

// glibc's own names of what is replaced here: no dlsym, which allocates itself, and nothing to look up before main.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);
}

namespace {

using Number = std::atomic<std::uint64_t>;

struct Counters {
  Number allocations{0}, frees{0}, bytes{0};
  Number lost_stacks{0};  // did not find a place in the table
};

constexpr int kFrames = 37;
constexpr int kOwnFrames = 2;  // record_stack and the replaced function, which record_stack is not inlined into

struct Stack {
  Number hash{0};  // 0: free
  Number calls{0}, bytes{0};
  std::uint64_t addresses[kFrames]{};
};

constexpr std::size_t kStacks = 8192;

struct File {
  Counters counters;
  Stack stacks[kStacks];
};

Counters before_main;
std::atomic<Counters*> counters = &before_main;
std::atomic<Stack*> stacks = nullptr;

// Set while a stack is walked, because that may allocate. initial-exec: the first access must not allocate either.
__attribute__((tls_model("initial-exec"))) thread_local bool walking = false;

// In a constructor and not at the first call: that one comes from the dynamic linker, before there is an environment.
__attribute__((constructor)) void map_file() {
  const char* folder = std::getenv("ALLOCATION_COUNTS");
  if (folder == nullptr) return;
  const bool with_stacks = std::getenv("ALLOCATION_STACKS") != nullptr;
  const std::size_t size = with_stacks ? sizeof(File) : sizeof(Counters);
  char path[4096];
  std::snprintf(path, sizeof path, "%s/%d", folder, getpid());
  // The descriptor is closed at once: the program sees the numbers it always has, and exec leaves nothing behind.
  const int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return;
  void* memory = MAP_FAILED;
  if (ftruncate(descriptor, static_cast<off_t>(size)) == 0)
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (memory == MAP_FAILED) return;
  auto* mapped = new (memory) Counters;
  mapped->allocations = before_main.allocations.load();
  mapped->frees = before_main.frees.load();
  mapped->bytes = before_main.bytes.load();
  counters = mapped;
  // Pages of a new file are zero, which is what an empty table is.
  if (with_stacks) stacks = static_cast<File*>(memory)->stacks;
}

[[gnu::noinline]] void record_stack(Stack* table, std::size_t size) {
  if (walking) return;
  walking = true;
  void* frames[kFrames + kOwnFrames];
  const int depth = backtrace(frames, kFrames + kOwnFrames);
  walking = false;
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a, by word
  for (int i = kOwnFrames; i < depth; ++i) hash = (hash ^ reinterpret_cast<std::uintptr_t>(frames[i])) * 1099511628211U;
  hash |= 1;
  for (std::size_t probe = 0; probe < kStacks; ++probe) {
    Stack& stack = table[((hash >> 20) + probe) % kStacks];
    std::uint64_t found = 0;
    if (stack.hash.compare_exchange_strong(found, hash)) {
      for (int i = kOwnFrames; i < depth; ++i)
        stack.addresses[i - kOwnFrames] = reinterpret_cast<std::uintptr_t>(frames[i]);
    } else if (found != hash) {
      continue;
    }
    stack.calls.fetch_add(1, std::memory_order_relaxed);
    stack.bytes.fetch_add(size, std::memory_order_relaxed);
    return;
  }
  counters.load()->lost_stacks.fetch_add(1, std::memory_order_relaxed);
}

[[gnu::always_inline]] inline void count_allocation(std::size_t size) {
  Counters* now = counters.load(std::memory_order_relaxed);
  now->allocations.fetch_add(1, std::memory_order_relaxed);
  now->bytes.fetch_add(size, std::memory_order_relaxed);
  if (Stack* table = stacks.load(std::memory_order_relaxed)) record_stack(table, size);
}

void count_free() { counters.load(std::memory_order_relaxed)->frees.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

extern "C" {

void* malloc(std::size_t size) noexcept {
  count_allocation(size);
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  count_allocation(count * size);
  return __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) noexcept {
  if (block != nullptr) count_free();
  if (block == nullptr || size > 0) count_allocation(size);
  return __libc_realloc(block, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count_allocation(size);
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count_allocation(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
  if (alignment % sizeof(void*) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  count_allocation(size);
  void* made = __libc_memalign(alignment, size);
  if (made == nullptr) return ENOMEM;
  *block = made;
  return 0;
}

void free(void* block) noexcept {
  if (block != nullptr) count_free();
  __libc_free(block);
}

}  // extern "C"
