// The texts by number, release by release. Source: Go 1.19 … 1.27 runtime/runtime2.go (waitReason, waitReasonStrings).
#include "heapwalk/runtimes/go/program/wait_reasons.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

constexpr size_t kMaxReasons = 256;  // a byte
constexpr size_t kMaxLength = 128;

// Of each release the texts in the order of their numbers, the first one empty.
constexpr std::string_view kReasons119 =
    "|GC assist marking|IO wait|chan receive (nil chan)|chan send (nil chan)|dumping heap|garbage collection|"
    "garbage collection scan|panicwait|select|select (no cases)|GC assist wait|GC sweep wait|GC scavenge wait|"
    "chan receive|chan send|finalizer wait|force gc (idle)|semacquire|sleep|sync.Cond.Wait|"
    "timer goroutine (idle)|trace reader (blocked)|wait for GC cycle|GC worker (idle)|preempted|debug call";

constexpr std::string_view kReasons120 =
    "|GC assist marking|IO wait|chan receive (nil chan)|chan send (nil chan)|dumping heap|garbage collection|"
    "garbage collection scan|panicwait|select|select (no cases)|GC assist wait|GC sweep wait|GC scavenge wait|"
    "chan receive|chan send|finalizer wait|force gc (idle)|semacquire|sleep|sync.Cond.Wait|sync.Mutex.Lock|"
    "sync.RWMutex.RLock|sync.RWMutex.Lock|trace reader (blocked)|wait for GC cycle|GC worker (idle)|"
    "GC worker (active)|preempted|debug call|GC mark termination|stopping the world";

constexpr std::string_view kReasons123 =
    "|GC assist marking|IO wait|chan receive (nil chan)|chan send (nil chan)|dumping heap|garbage collection|"
    "garbage collection scan|panicwait|select|select (no cases)|GC assist wait|GC sweep wait|GC scavenge wait|"
    "chan receive|chan send|finalizer wait|force gc (idle)|semacquire|sleep|sync.Cond.Wait|sync.Mutex.Lock|"
    "sync.RWMutex.RLock|sync.RWMutex.Lock|trace reader (blocked)|wait for GC cycle|GC worker (idle)|"
    "GC worker (active)|preempted|debug call|GC mark termination|stopping the world|flushing proc caches|"
    "trace goroutine status|trace proc status|page trace flush|coroutine|GC weak to strong wait";

constexpr std::string_view kReasons124 =
    "|GC assist marking|IO wait|chan receive (nil chan)|chan send (nil chan)|dumping heap|garbage collection|"
    "garbage collection scan|panicwait|select|select (no cases)|GC assist wait|GC sweep wait|GC scavenge wait|"
    "chan receive|chan send|finalizer wait|force gc (idle)|semacquire|sleep|sync.Cond.Wait|sync.Mutex.Lock|"
    "sync.RWMutex.RLock|sync.RWMutex.Lock|sync.WaitGroup.Wait|trace reader (blocked)|wait for GC cycle|"
    "GC worker (idle)|GC worker (active)|preempted|debug call|GC mark termination|stopping the world|"
    "flushing proc caches|trace goroutine status|trace proc status|page trace flush|coroutine|"
    "GC weak to strong wait|synctest.Run|synctest.Wait|chan receive (synctest)|chan send (synctest)|"
    "select (synctest)";

constexpr std::string_view kReasons125 =
    "|GC assist marking|IO wait|chan receive (nil chan)|chan send (nil chan)|dumping heap|garbage collection|"
    "garbage collection scan|panicwait|select|select (no cases)|GC assist wait|GC sweep wait|GC scavenge wait|"
    "chan receive|chan send|finalizer wait|force gc (idle)|GOMAXPROCS updater (idle)|semacquire|sleep|"
    "sync.Cond.Wait|sync.Mutex.Lock|sync.RWMutex.RLock|sync.RWMutex.Lock|sync.WaitGroup.Wait|"
    "trace reader (blocked)|wait for GC cycle|GC worker (idle)|GC worker (active)|preempted|debug call|"
    "GC mark termination|stopping the world|flushing proc caches|trace goroutine status|trace proc status|"
    "page trace flush|coroutine|GC weak to strong wait|synctest.Run|synctest.Wait|chan receive (durable)|"
    "chan send (durable)|select (durable)|sync.WaitGroup.Wait (durable)|cleanup wait";

constexpr std::string_view kReasons126 =
    "|GC assist marking|IO wait|dumping heap|garbage collection|garbage collection scan|panicwait|"
    "GC assist wait|GC sweep wait|GC scavenge wait|finalizer wait|force gc (idle)|GOMAXPROCS updater (idle)|"
    "semacquire|sleep|chan receive (nil chan)|chan send (nil chan)|select (no cases)|select|chan receive|"
    "chan send|sync.Cond.Wait|sync.Mutex.Lock|sync.RWMutex.RLock|sync.RWMutex.Lock|sync.WaitGroup.Wait|"
    "trace reader (blocked)|wait for GC cycle|GC worker (idle)|GC worker (active)|preempted|debug call|"
    "GC mark termination|stopping the world|flushing proc caches|trace goroutine status|trace proc status|"
    "page trace flush|coroutine|GC weak to strong wait|synctest.Run|synctest.Wait|chan receive (durable)|"
    "chan send (durable)|select (durable)|sync.WaitGroup.Wait (durable)|cleanup wait";

std::string_view known_reasons(int release) {
  if (release >= 26) return kReasons126;
  if (release == 25) return kReasons125;
  if (release == 24) return kReasons124;
  if (release >= 22) return kReasons123;  // of which 1.22 has all but the last
  return release >= 20 ? kReasons120 : kReasons119;
}

// runtime.waitReasonStrings: an array of Go strings. A symbol says how many; without one it is read as far as there are
// strings, which may be more than are its own: no goroutine has their numbers.
std::vector<std::string_view> read_reasons(const AddressSpace& memory, Address table, size_t count) {
  std::vector<std::string_view> texts;
  while (texts.size() < count) {
    const Address at = table + 16 * texts.size();
    const auto data = memory.read_pointer(at);
    const auto length = memory.read_word(at + 8);
    if (!data || !length || *length > kMaxLength) break;
    const Bytes text = memory.read_exactly(*data, *length);
    if (text.size() != *length) break;
    texts.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
  }
  return texts;
}

}  // namespace

WaitReasons::WaitReasons(const CoreDump& dump, const Process& process) {
  if (const auto table = process.module->symbol_range("runtime.waitReasonStrings")) {
    const size_t count = std::min<size_t>(table->size_bytes() / 16, kMaxReasons);
    texts_ = read_reasons(dump.memory, table->begin, count);
    if (texts_.size() != count) texts_.clear();
  } else if (const auto found = process.variable("runtime.waitReasonStrings")) {
    texts_ = read_reasons(dump.memory, *found, kMaxReasons);
  }
  if (texts_.empty()) {
    for (std::string_view rest = known_reasons(process.layout.minor());;) {
      const size_t bar = rest.find('|');
      texts_.push_back(rest.substr(0, bar));
      if (bar == std::string_view::npos) break;
      rest.remove_prefix(bar + 1);
    }
  }
}

std::string_view WaitReasons::text(uint8_t reason) const {
  return reason < texts_.size() ? texts_[reason] : "unknown wait reason";
}

}  // namespace heapwalk::go
