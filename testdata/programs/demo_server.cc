// The demo: a small multi-threaded server with three memory problems, which ends by dumping core.
//
//   1. a session cache that grows: `g_server.sessions` never evicts;
//   2. a forgotten global: `audit::trail` remembers every request, for a feature that nobody uses any more;
//   3. a leak: a request that fails validation is parsed, refused and never deleted.
//
// Four workers take requests from a queue that the main thread fills; the pool shrinks to nothing when the load is over,
// and two housekeeping threads stay. Then the program prints what each of the three holds, in malloc's own usable bytes,
// and aborts. That print is the truth that the report of the core is tested against:
//
//     truth sessions 20000 allocations 31234567 bytes
//
// Usage: demo_server [REQUESTS]
#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

// What one of the three holds. Lives in static memory.
struct Tally {
  std::atomic<long> allocations{0};
  std::atomic<long> bytes{0};
  void* add(void* block) {
    allocations += 1;
    bytes += static_cast<long>(malloc_usable_size(block));
    return block;
  }
  void remove(void* block) {
    allocations -= 1;
    bytes -= static_cast<long>(malloc_usable_size(block));
  }
};

Tally t_sessions, t_audit, t_leak;

// A standard allocator that keeps a tally. Its memory is zeroed: without types, a stale pointer in recycled memory counts
// as a reference and blurs who holds what, and this program's truth is exact.
template <class T, Tally& tally>
struct Tallied {
  using value_type = T;
  template <class U>
  struct rebind {
    using other = Tallied<U, tally>;
  };
  Tallied() = default;
  template <class U>
  Tallied(const Tallied<U, tally>&) {}
  T* allocate(size_t n) { return static_cast<T*>(tally.add(std::calloc(n, sizeof(T)))); }
  void deallocate(T* block, size_t) {
    tally.remove(block);
    std::free(block);
  }
  friend bool operator==(Tallied, Tallied) { return true; }
};
template <Tally& tally>
using String = std::basic_string<char, std::char_traits<char>, Tallied<char, tally>>;

struct Session {
  explicit Session(String<t_sessions> user_name) : user(std::move(user_name)) {}
  String<t_sessions> user;
  std::vector<String<t_sessions>, Tallied<String<t_sessions>, t_sessions>> history;
  char token[64] = {};
};

struct Server {
  using Key = String<t_sessions>;
  using Map = std::unordered_map<Key, std::shared_ptr<Session>, std::hash<std::string_view>, std::equal_to<>,
                                 Tallied<std::pair<const Key, std::shared_ptr<Session>>, t_sessions>>;
  std::mutex lock;
  Map sessions;
  long served = 0;
};
Server g_server;

namespace audit {
struct Entry {
  long number;
  String<t_audit> line;
};
std::mutex lock;
std::vector<Entry, Tallied<Entry, t_audit>> trail;
}  // namespace audit

struct Request {
  virtual ~Request() = default;
  virtual bool is_valid() const { return true; }
  long number = 0;
  String<t_leak> body;

  static void* operator new(size_t size) { return t_leak.add(std::calloc(1, size)); }
  static void operator delete(void* block) {
    t_leak.remove(block);
    std::free(block);
  }
};
struct UploadRequest : Request {
  bool is_valid() const override { return number % 50 != 25; }
  char checksum[32] = {};
};

class Queue {
 public:
  void push(long number) {
    std::lock_guard guard(lock_);
    waiting_.push_back(number);
    ready_.notify_one();
  }
  // False when the queue was closed and is empty.
  bool pop(long& number) {
    std::unique_lock guard(lock_);
    ready_.wait(guard, [&] { return closed_ || !waiting_.empty(); });
    if (waiting_.empty()) return false;
    number = waiting_.front();
    waiting_.pop_front();
    return true;
  }
  void close() {
    std::lock_guard guard(lock_);
    closed_ = true;
    ready_.notify_all();
  }

 private:
  bool closed_ = false;
  std::mutex lock_;
  std::condition_variable ready_;
  std::deque<long> waiting_;
};
Queue g_queue;

std::unique_ptr<Request> parse(long number) {
  std::unique_ptr<Request> request = number % 5 == 0 ? std::make_unique<UploadRequest>() : std::make_unique<Request>();
  request->number = number;
  request->body.assign(200 + static_cast<size_t>(number % 100), 'x');
  return request;
}

void remember_session(const Request& request) {
  String<t_sessions> user = "user-" + String<t_sessions>(std::to_string(request.number / 4).c_str()) + "@example.org";
  std::lock_guard guard(g_server.lock);
  auto [at, is_new] = g_server.sessions.try_emplace(user);
  if (is_new) at->second = std::allocate_shared<Session>(Tallied<Session, t_sessions>(), user);
  at->second->history.push_back(String<t_sessions>(300, 'h'));
  ++g_server.served;
}

void serve(long number) {
  std::unique_ptr<Request> request = parse(number);
  {
    std::lock_guard guard(audit::lock);
    audit::trail.push_back({number, String<t_audit>(120, 'a')});
  }
  if (!request->is_valid()) {
    request.release();  // the bug: refused requests are never deleted
    return;
  }
  remember_session(*request);
}

void worker() {
  long number = 0;
  while (g_queue.pop(number)) serve(number);
}

// Wakes up now and then; in this demo there is nothing to do.
void housekeeping() {
  std::mutex lock;
  std::condition_variable never;
  std::unique_lock guard(lock);
  for (;;) never.wait_for(guard, std::chrono::seconds(60));
}

void print_truth(const char* name, const Tally& tally) {
  std::printf("truth %s %ld allocations %ld bytes\n", name, tally.allocations.load(), tally.bytes.load());
}

int main(int argc, char** argv) {
  const long requests = argc > 1 ? std::atol(argv[1]) : 80000;
  rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_CORE, &unlimited);

  std::thread(housekeeping).detach();
  std::thread(housekeeping).detach();
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) workers.emplace_back(worker);
  for (long number = 1; number <= requests; ++number) g_queue.push(number);
  g_queue.close();
  for (std::thread& thread : workers) thread.join();

  // No request is in flight, so all that still counts in t_leak is leaked.
  print_truth("sessions", t_sessions);
  print_truth("audit", t_audit);
  print_truth("leak", t_leak);
  std::fflush(stdout);
  std::abort();
}
