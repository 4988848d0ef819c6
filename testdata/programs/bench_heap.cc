// Fills the heap for the benchmark and dumps core: N live allocations by several threads, in the shapes that real heaps
// consist of, with some churn so that the free lists are not empty.
//
//   list    a singly linked list whose nodes own a payload each; a payload knows its node and the payload before it
//   chain   a doubly linked list
//   tree    a red-black tree with parent pointers (std::map) whose values own a string
//   table   a hash map (std::unordered_map) from a number to an owned record; a record knows the one before it and a list node
//
// That makes two references per allocation, the shape that the memory target is stated for.
//
// Usage: bench_heap ALLOCATIONS [THREADS]        prints `truth ALLOCATIONS BYTES` (usable bytes), then aborts
#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static std::atomic<long> g_allocations{0};
static std::atomic<long> g_bytes{0};
static thread_local long t_allocations = 0;
static thread_local long t_bytes = 0;

void* operator new(size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  t_allocations += 1;
  t_bytes += static_cast<long>(malloc_usable_size(block));
  return block;
}
void operator delete(void* block) noexcept {
  if (block == nullptr) return;
  t_allocations -= 1;
  t_bytes -= static_cast<long>(malloc_usable_size(block));
  std::free(block);
}
void operator delete(void* block, size_t) noexcept {
  operator delete(block);
}

namespace {

struct ListNode;
struct Payload {
  ListNode* owner;
  Payload* earlier;
  long numbers[3];
};
struct ListNode {
  std::unique_ptr<Payload> payload;
  ListNode* next;
};
struct Record {
  Record* earlier;
  ListNode* node;
  char text[32];
};
struct Work {
  ListNode* list = nullptr;
  std::list<long> chain;
  std::map<unsigned long, std::string> tree;
  std::unordered_map<unsigned long, std::unique_ptr<Record>> table;
};
std::vector<Work>* g_work;

void fill(Work& work, long allocations, unsigned seed) {
  std::mt19937_64 random(seed);
  const long quarter = allocations / 4;
  Record* earlier = nullptr;
  // The four grow in turns, so that their nodes lie mixed in memory.
  for (long i = 0; i < quarter; ++i) {
    work.chain.push_back(i);
    if (i % 2 == 0) {
      work.list = new ListNode{std::make_unique<Payload>(), work.list};
      work.list->payload->owner = work.list;
      if (work.list->next != nullptr) work.list->payload->earlier = work.list->next->payload.get();
      work.tree.emplace(random(), std::string(24 + random() % 32, 't'));
      auto record = std::make_unique<Record>();
      record->earlier = earlier;
      record->node = work.list;
      earlier = record.get();
      work.table.emplace(random(), std::move(record));
    }
    if (i % 16 == 0) operator delete(operator new(random() % 256 + 1));
    if (i % 64 == 0 && !work.tree.empty()) work.tree.erase(work.tree.begin());
  }
}

void work_on(Work& work, long allocations, unsigned seed) {
  fill(work, allocations, seed);
  g_allocations += t_allocations;
  g_bytes += t_bytes;
}

}  // namespace

int main(int argc, char** argv) {
  const long allocations = argc > 1 ? std::atol(argv[1]) : 1000000;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 4;
  rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_CORE, &unlimited);

  g_work = new std::vector<Work>(static_cast<size_t>(threads));
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i)
    workers.emplace_back(work_on, std::ref((*g_work)[static_cast<size_t>(i)]), allocations / threads,
                         static_cast<unsigned>(i));
  for (std::thread& worker : workers) worker.join();
  std::printf("truth %ld %ld\n", g_allocations.load(), g_bytes.load());
  std::fflush(stdout);
  std::abort();
}
