#include "heapwalk/runtimes/go/stacks/goroutines.h"

#include <algorithm>
#include <unordered_set>

#include "heapwalk/runtimes/go/program/goroutine_search.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "heapwalk/runtimes/go/program/wait_reasons.h"
#include "heapwalk/runtimes/go/stacks/semaphore_waiters.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxGoroutines = 1 << 28;
constexpr uint64_t kMaxStackBytes = uint64_t{1} << 32;  // the run-time's own limit is 1 GB
constexpr uint32_t kScanBit = 0x1000;
constexpr uint32_t kLastStatus = 11;
constexpr uint32_t kRunningFinalizer = 2;  // bit of runtime.fingStatus

bool is_live(GoroutineStatus status) {
  return status != GoroutineStatus::idle && status != GoroutineStatus::dead && status != GoroutineStatus::dead_extra;
}

SavedState saved_state(const Record& g, const Layout& layout) {
  auto of = [&](Field field) {
    return layout.has(field) ? g.pointer_or_null(Field::g_sched, layout.offset(field)) : Address{};
  };
  return {of(Field::gobuf_pc), of(Field::gobuf_sp), of(Field::gobuf_bp), of(Field::gobuf_lr), of(Field::gobuf_ctxt)};
}

}  // namespace

class GoroutineReader {
 public:
  GoroutineReader(const CoreDump& dump, const Process& process, const Functions& functions, Diagnostics& diagnostics)
      : memory_(dump.memory),
        dump_(dump),
        process_(process),
        layout_(process.layout),
        functions_(functions),
        diagnostics_(diagnostics),
        reasons_(dump, process) {}

  Goroutines read() {
    auto variable = process_.variable("runtime.allgs");
    if (!variable) variable = search_all_goroutines(memory_, layout_, process_.modules.front());
    const auto list = variable ? read_slice(memory_, *variable) : std::nullopt;
    if (!list) {
      diagnostics_.add("go_goroutines_unknown", "runtime.allgs was not found: no goroutine is known");
      return {};
    }
    read_list(*list);
    drop_impossible();
    std::ranges::stable_sort(result_.all, {}, &Goroutine::id);
    result_.by_address_.reserve(result_.all.size());
    for (uint32_t i = 0; i < result_.all.size(); ++i) result_.by_address_.emplace_back(result_.all[i].g, i);
    std::ranges::sort(result_.by_address_);
    if (!layout_.has(Field::maybeTraceablePtr_vu)) add_semaphores();
    result_.now_ns = clock_at_dump();
    return std::move(result_);
  }

 private:
  void read_list(const Slice& list) {
    const uint64_t count = std::min({list.length, list.capacity, kMaxGoroutines});
    if (count != list.length)
      diagnostics_.add(
          "go_goroutines_unread",
          fmt::format("the list of all goroutines claims to have {} of room for {}", list.length, list.capacity));
    const auto length = process_.variable("runtime.allglen");  // the same number, for those who do not lock
    if (const auto known = length ? memory_.read_word(*length) : std::nullopt; known && *known != list.length)
      diagnostics_.add("go_goroutines_unread",
                       fmt::format("the list of all goroutines has {}, and should have {}", list.length, *known));
    blockers_left_ = 16 * count + (1 << 20);
    for (uint64_t i = 0; i < count; ++i) {
      const auto g = memory_.read_pointer(list.data + 8 * i);
      if (!g) {
        diagnostics_.add("go_goroutines_unread",
                         fmt::format("goroutines at {:#x} are not in the core", (list.data + 8 * i).value), count - i);
        return;
      }
      if (!read_one(*g))
        diagnostics_.add("go_goroutine_unread", fmt::format("the goroutine at {:#x} could not be read", g->value));
    }
  }

  // One goroutine is in the list once, and has its stack for itself.
  void drop_impossible() {
    std::ranges::stable_sort(result_.all, {},
                             [](const Goroutine& goroutine) { return std::pair(goroutine.stack.begin, goroutine.g); });
    std::unordered_set<Address> known;
    Address end_of_last;
    const auto dropped = std::erase_if(result_.all, [&](const Goroutine& goroutine) {
      if (!known.insert(goroutine.g).second) return true;
      if (goroutine.stack.empty()) return false;
      if (goroutine.stack.begin < end_of_last) return true;
      end_of_last = goroutine.stack.end;
      return false;
    });
    if (dropped > 0)
      diagnostics_.add("go_goroutine_unread", "goroutines that are listed twice, or share a stack", dropped);
  }

  bool read_one(Address at) {
    const Record g(memory_, layout_, at);
    const auto status = g.read<uint32_t>(Field::g_atomicstatus);
    const auto id = g.word(Field::g_goid);
    if (!status || !id || (*status & ~kScanBit) > kLastStatus) return false;
    Goroutine goroutine;
    goroutine.status = static_cast<GoroutineStatus>(*status & ~kScanBit);
    if (!is_live(goroutine.status)) {
      ++result_.dead;
      return true;
    }
    goroutine.g = at;
    goroutine.id = *id;
    goroutine.parent_id = g.word(Field::g_parentGoid).value_or(0);
    goroutine.async_safe_point = g.read<uint8_t>(Field::g_asyncSafePoint).value_or(0) != 0;
    goroutine.wait_since_ns = g.read<int64_t>(Field::g_waitsince).value_or(0);
    goroutine.wait_reason_number = g.read<uint8_t>(Field::g_waitreason).value_or(0);
    if (goroutine.status == GoroutineStatus::waiting || goroutine.status == GoroutineStatus::leaked)
      goroutine.wait_reason = reasons_.text(goroutine.wait_reason_number);
    goroutine.created_at = g.pointer_or_null(Field::g_gopc);
    goroutine.start = g.pointer_or_null(Field::g_startpc);
    goroutine.labels = g.pointer_or_null(Field::g_labels);
    goroutine.stack = {g.pointer_or_null(Field::g_stack, layout_.offset(Field::stack_lo)),
                       g.pointer_or_null(Field::g_stack, layout_.offset(Field::stack_hi))};
    if (goroutine.stack.begin >= goroutine.stack.end || goroutine.stack.size_bytes() > kMaxStackBytes) {
      goroutine.stack = {};
      diagnostics_.add("go_broken_stack", "goroutines that do not say where their stacks are");
    }
    goroutine.sched = saved_state(g, layout_);
    goroutine.syscall = {g.pointer_or_null(Field::g_syscallpc),
                         g.pointer_or_null(Field::g_syscallsp),
                         g.pointer_or_null(Field::g_syscallbp),
                         {},
                         {}};
    goroutine.defers = g.pointer_or_null(Field::g_defer);
    goroutine.panics = g.pointer_or_null(Field::g_panic);
    goroutine.is_system = is_system(goroutine, g);
    goroutine.locked_to_thread = static_cast<bool>(g.pointer_or_null(Field::g_lockedm));
    find_thread(goroutine, g);
    read_blockers(goroutine, g.pointer_or_null(Field::g_waiting));
    result_.all.push_back(std::move(goroutine));
    return true;
  }

  // The thread, where it is this goroutine's: a parked one may name the m that last ran it.
  void find_thread(Goroutine& goroutine, const Record& g) {
    goroutine.m = g.pointer_or_null(Field::g_m);
    if (!goroutine.m) return;
    const Record m(memory_, layout_, goroutine.m);
    if (m.pointer(Field::m_curg) != goroutine.g) return;
    const uint64_t tid = m.word(Field::m_procid).value_or(0);
    if (std::ranges::find(dump_.threads, tid, &Thread::tid) != dump_.threads.end())
      goroutine.tid = static_cast<uint32_t>(tid);
  }

  // What the run-time started for itself. Finalizers and cleanups are the program's while they run.
  bool is_system(const Goroutine& goroutine, const Record& g) const {
    const auto function = functions_.find(goroutine.start);
    if (!function) return false;
    switch (function->kind) {
      case FunctionKind::runtime_main:
      case FunctionKind::corostart:
      case FunctionKind::handle_async_event:
        return false;
      case FunctionKind::run_finalizers:
        return !is_running_finalizer();
      case FunctionKind::run_cleanups:
        return g.read<uint8_t>(Field::g_runningCleanups).value_or(0) == 0;
      default:
        return function->name.starts_with("runtime.");
    }
  }
  bool is_running_finalizer() const {
    if (const auto status = process_.variable("runtime.fingStatus"))
      return (memory_.read<uint32_t>(*status).value_or(0) & kRunningFinalizer) != 0;
    const auto running = process_.variable("runtime.fingRunning");  // 1.19
    return running && memory_.read<uint8_t>(*running).value_or(0) != 0;
  }

  // The goroutine's own list: channels; since 1.26 semaphores and conditions too. There, what it waits for stands in a
  // pair of words, of which the second one is always true.
  void read_blockers(Goroutine& goroutine, Address sudog) {
    const uint64_t inner = layout_.has(Field::maybeTraceablePtr_vu) ? layout_.offset(Field::maybeTraceablePtr_vu) : 0;
    for (; sudog && blockers_left_ > 0; --blockers_left_) {
      const Record record(memory_, layout_, sudog);
      if (record.pointer(Field::sudog_g) != goroutine.g) return;
      const Address channel = record.pointer_or_null(Field::sudog_c, inner);
      const Address on = channel ? channel : record.pointer_or_null(Field::sudog_elem, inner);
      if (on) goroutine.blocked_on.push_back({sudog, on, static_cast<bool>(channel)});
      sudog = record.pointer_or_null(Field::sudog_waitlink);
      if (!channel) return;  // a semaphore's sudog is linked to other goroutines'
    }
  }

  void add_semaphores() {
    const auto table = process_.variable("runtime.semtable");
    if (!table) return;
    for (const SemaphoreWaiter& waiter : read_semaphore_waiters(dump_, layout_, *table, result_.all.size())) {
      const auto found =
          std::ranges::lower_bound(result_.by_address_, waiter.g, {}, &std::pair<Address, uint32_t>::first);
      if (found == result_.by_address_.end() || found->first != waiter.g) continue;
      Goroutine& goroutine = result_.all[found->second];
      if (goroutine.status == GoroutineStatus::waiting && goroutine.blocked_on.empty())
        goroutine.blocked_on.push_back({waiter.sudog, waiter.semaphore, false});
    }
  }

  // A core does not say what the monotonic clock showed. The last collection noted both clocks; the core file's time is
  // that of the dump, unless the file was copied since. Collections are at most two minutes apart unless they
  // are switched off, so a later time than that is not believed.
  int64_t clock_at_dump() const {
    int64_t latest = 0;
    for (const Goroutine& goroutine : result_.all) latest = std::max(latest, goroutine.wait_since_ns);
    const auto statistics = process_.variable("runtime.memstats");
    if (!statistics) return latest;
    const Record record(memory_, layout_, *statistics);
    const auto unix_ns = record.read<int64_t>(Field::mstats_last_gc_unix);
    const auto monotonic_ns = record.read<int64_t>(Field::mstats_last_gc_nanotime);
    if (!unix_ns || !monotonic_ns || *monotonic_ns <= 0 || *unix_ns <= 0) return latest;
    latest = std::max(latest, *monotonic_ns);
    constexpr int64_t kSecond = 1'000'000'000, kForcedCollection = 150 * kSecond;
    const int64_t seconds = dump_.process.time_seconds;
    if (seconds < *unix_ns / kSecond || seconds - *unix_ns / kSecond > kForcedCollection / kSecond) return latest;
    const int64_t since_collection = seconds * kSecond - *unix_ns;
    return std::max(latest, *monotonic_ns + std::max<int64_t>(since_collection, 0));
  }

  const AddressSpace& memory_;
  const CoreDump& dump_;
  const Process& process_;
  const Layout& layout_;
  const Functions& functions_;
  Diagnostics& diagnostics_;
  WaitReasons reasons_;
  Goroutines result_;
  uint64_t blockers_left_ = 0;  // lists may be cyclic
};

std::string_view name_of(GoroutineStatus status) {
  switch (status) {
    case GoroutineStatus::idle:
      return "idle";
    case GoroutineStatus::runnable:
      return "runnable";
    case GoroutineStatus::running:
      return "running";
    case GoroutineStatus::syscall:
      return "syscall";
    case GoroutineStatus::waiting:
      return "waiting";
    case GoroutineStatus::dead:
      return "dead";
    case GoroutineStatus::copystack:
      return "copystack";
    case GoroutineStatus::preempted:
      return "preempted";
    case GoroutineStatus::leaked:
      return "leaked";
    case GoroutineStatus::dead_extra:
      return "waiting for cgo callback";
  }
  return "???";
}

std::string_view Goroutine::state() const {
  return wait_reason.empty() ? name_of(status) : wait_reason;
}

const Goroutine* Goroutines::find(Address g) const {
  const auto found = std::ranges::lower_bound(by_address_, g, {}, &std::pair<Address, uint32_t>::first);
  return found != by_address_.end() && found->first == g ? &all[found->second] : nullptr;
}

uint64_t Goroutines::waiting_minutes(const Goroutine& goroutine) const {
  if (goroutine.status != GoroutineStatus::waiting && goroutine.status != GoroutineStatus::syscall) return 0;
  if (goroutine.wait_since_ns <= 0 || now_ns <= goroutine.wait_since_ns) return 0;
  return static_cast<uint64_t>(now_ns - goroutine.wait_since_ns) / 60'000'000'000;
}

Goroutines read_goroutines(const CoreDump& dump, const Process& process, const Functions& functions,
                           Diagnostics& diagnostics) {
  return GoroutineReader(dump, process, functions, diagnostics).read();
}

}  // namespace heapwalk::go
