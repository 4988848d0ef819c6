// Plants leaks of every shape among live structures of the same shapes, writes down what it leaked, and dumps core.
//
//   list      a singly linked list of 100 nodes, head forgotten
//   tree      a binary tree of 127 nodes with parent pointers, root forgotten (so that it is one big cycle)
//   pair      two nodes that refer to each other
//   ring      a cycle of 1,000 nodes
//   shared    two forgotten heads of one tail
//   single    50 blocks of 10..500 bytes that nothing refers to
//   file      an open FILE whose pointer is lost: only stdio's own list still knows it
//   live      a leaked block that refers to live memory: only the block is leaked
//   interior  a block of which the program keeps only a pointer to its middle: live
//
// The truth goes to standard output as text, one line per leaked block, `leak SHAPE 0xADDRESS USABLE_BYTES`: text holds no
// pointers. Everything that could keep a stale copy is wiped: the planting runs deep in the stack (`main`), or in a thread that has
// ended (`thread`: its cached stack is garbage, not a root).
//
// Usage: planted_leaks main|thread
#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

struct Node {
  Node* next = nullptr;
  Node* other = nullptr;
  Node* parent = nullptr;
  char payload[24] = {};
};

Node* g_live_list = nullptr;
Node* g_live_ring = nullptr;
char* g_middle = nullptr;

namespace {

void report(const char* shape, void* block) {
  std::printf("leak %s %p %zu\n", shape, block, malloc_usable_size(block));
}

Node* make_list(int length, Node* tail, const char* shape) {
  Node* head = tail;
  for (int i = 0; i < length; ++i) {
    Node* node = new Node;
    node->next = head;
    head = node;
    if (shape != nullptr) report(shape, node);
  }
  return head;
}

Node* make_ring(int length, const char* shape) {
  Node* last = new Node;
  if (shape != nullptr) report(shape, last);
  Node* head = make_list(length - 1, last, shape);
  last->next = head;
  return head;
}

Node* make_tree(int depth, Node* parent, const char* shape) {
  if (depth == 0) return nullptr;
  Node* node = new Node;
  report(shape, node);
  node->parent = parent;
  node->next = make_tree(depth - 1, node, shape);
  node->other = make_tree(depth - 1, node, shape);
  return node;
}

[[gnu::noinline]] void plant() {
  make_list(100, nullptr, "list");
  make_tree(7, nullptr, "tree");
  make_ring(2, "pair");
  make_ring(1000, "ring");
  Node* tail = make_list(10, nullptr, "shared");
  make_list(1, tail, "shared");
  make_list(1, tail, "shared");
  for (int i = 1; i <= 50; ++i) report("single", std::memset(std::malloc(static_cast<size_t>(i) * 10), 0, 10));
  report("file", std::fopen("/dev/null", "r"));
  Node* refers_to_live = new Node;
  refers_to_live->next = g_live_list;
  report("live", refers_to_live);
}

// Overwrites the stack below, where planting left its frames.
[[gnu::noinline]] void wipe_stack() {
  volatile char scratch[256 * 1024];
  for (volatile char& c : scratch) c = 0;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_CORE, &unlimited);
  static char output[1 << 16];
  std::setvbuf(stdout, output, _IOFBF, sizeof(output));

  g_live_list = make_list(500, nullptr, nullptr);
  g_live_ring = make_ring(1000, nullptr);
  g_middle = static_cast<char*>(std::calloc(1, 4096)) + 2048;
  const std::string_view where = argc > 1 ? argv[1] : "main";
  if (where == "thread") {
    std::thread(plant).join();
  } else {
    plant();
  }
  wipe_stack();
  std::fflush(stdout);
  std::abort();
}
