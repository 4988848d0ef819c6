// Blocks that are held by one local or parameter each, and a record of which.
//
//     frame_locals RECORD
//
// Every thread goes down a stack of its own shapes of variables: values in callee-saved registers, spilled ones, records,
// containers, arrays, references, parameters, variables of inlined functions, of inner blocks, of recursive calls, of what a
// signal interrupted. When all have arrived, the first thread aborts. RECORD has rows
// `address <TAB> function <TAB> "local NAME" or "parameter NAME" <TAB> type`, one for each block.
// A variable is used after the call that does not return, so that the compiler has to keep it.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace shapes {

struct Node {
  Node* next = nullptr;
  long payload[5] = {};
};
struct Session {
  long id = 0;
  Node* nodes = nullptr;
  double weights[8] = {};
};
struct Batch {
  long count = 0;
  Session* first = nullptr;
  Node* pairs[2] = {};
  std::unique_ptr<Session> owner;
};
struct View {  // two words: may live in two registers
  Node* begin = nullptr;
  long length = 0;
};

constexpr int kThreads = 5;
int record = -1;
std::atomic<int> arrived{0};
volatile long sink = 0;

// Writes no pointer anywhere but into the file.
__attribute__((noinline)) void note(const void* block, const char* function, const char* variable, const char* type) {
  char row[256];
  const int size = std::snprintf(row, sizeof row, "%p\t%s\t%s\t%s\n", block, function, variable, type);
  if (write(record, row, static_cast<size_t>(size)) != size) std::_Exit(2);
}
// Returns the block through memory that it clears, so that no register is left with the address but the caller's.
template <class T>
__attribute__((noinline)) T* make(const char* function, const char* variable, const char* type) {
  T* block = new T();
  note(block, function, variable, type);
  return block;
}
#define MAKE(T, variable) make<T>(__func__, variable, #T)

// What a caller left in the registers and below the stack pointer is written over.
__attribute__((noinline)) void scrub() {
  volatile char bytes[4096];
  for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = 0;
  sink = sink + bytes[17];
}
__attribute__((noinline)) void wait_here() {
  scrub();
  if (++arrived == kThreads) std::abort();
  while (arrived != 0) pause();  // never 0 again, which the compiler cannot know: it keeps what is used later
}
template <class T>
__attribute__((noinline)) void use(const T& value) {
  sink = sink + static_cast<long>(sizeof value) + static_cast<long>(reinterpret_cast<const volatile char&>(value));
}

// ---- shapes ----

__attribute__((noinline)) long few_pointers(int depth);
__attribute__((noinline)) long many_pointers() {
  Node* a = MAKE(Node, "local a");
  Node* b = MAKE(Node, "local b");
  Session* c = MAKE(Session, "local c");
  Node* d = MAKE(Node, "local d");
  Session* e = MAKE(Session, "local e");
  Node* f = MAKE(Node, "local f");
  Node* g = MAKE(Node, "local g");
  Session* h = MAKE(Session, "local h");
  Node* i = MAKE(Node, "local i");
  wait_here();
  long sum = a->payload[0] + b->payload[1] + c->id + d->payload[2] + e->id + f->payload[0] + g->payload[1];
  sum += h->id + i->payload[3];
  use(*a), use(*b), use(*c), use(*d), use(*e), use(*f), use(*g), use(*h), use(*i);
  return sum;
}

__attribute__((noinline)) long few_pointers(int depth) {
  Node* own = MAKE(Node, "local own");
  Session* other = MAKE(Session, "local other");
  const long below = depth > 0 ? few_pointers(depth - 1) : many_pointers();
  use(*own), use(*other);
  return below + own->payload[0] + other->id;
}

__attribute__((noinline)) long records() {
  Batch batch;
  batch.first = MAKE(Session, "local batch");
  batch.pairs[0] = MAKE(Node, "local batch");
  batch.pairs[1] = MAKE(Node, "local batch");
  batch.owner.reset(MAKE(Session, "local batch"));
  use(batch);
  Node* table[4] = {MAKE(Node, "local table"), MAKE(Node, "local table"), nullptr, MAKE(Node, "local table")};
  use(table);
  wait_here();
  use(batch), use(table);
  return batch.first->id + table[0]->payload[0];
}

__attribute__((noinline)) long containers() {
  std::vector<Session> sessions(12);
  note(sessions.data(), __func__, "local sessions", "Session[]");
  std::string text(300, 'x');
  note(text.data(), __func__, "local text", "char[]");
  std::map<int, Node> tree;
  tree[5].payload[0] = 1;
  std::shared_ptr<Session> shared = std::make_shared<Session>();
  note(reinterpret_cast<const char*>(shared.get()) - 16, __func__, "local shared", "");
  use(sessions), use(text), use(tree), use(shared);
  wait_here();
  use(sessions), use(text), use(tree), use(shared);
  return static_cast<long>(sessions.size() + text.size() + tree.size()) + shared->id;
}

__attribute__((noinline)) long by_parameter(Session* given, const Node& referred, View view, Batch whole) {
  note(given, __func__, "parameter given", "Session");
  note(&referred, __func__, "parameter referred", "Node");
  note(view.begin, __func__, "parameter view", "Node");
  note(whole.first, __func__, "parameter whole", "Session");
  wait_here();
  use(*given), use(referred), use(*view.begin), use(whole);
  return given->id + referred.payload[0] + view.begin->payload[1] + view.length + whole.first->id;
}
__attribute__((noinline)) long pass_parameters() {
  const long result = by_parameter(new Session(), *new Node(), {new Node(), 3}, {1, new Session(), {}, nullptr});
  return result + 1;
}

__attribute__((always_inline)) inline long inlined(Node* argument, int times) {
  note(argument, "inlined", "parameter argument", "Node");
  Session* inside = make<Session>("inlined", "local inside", "Session");
  long sum = 0;
  for (int i = 0; i < times; ++i) {
    Node* each = make<Node>("inlined", "local each", "Node");
    wait_here();
    use(*each);
    sum += each->payload[0];
  }
  use(*inside), use(*argument);
  return sum + inside->id + argument->payload[1];
}
__attribute__((noinline)) long calls_inlined(int times) {
  long sum = 0;
  {
    Node* early = new Node();  // another block of the source may reuse its place
    use(*early);
    sum += early->payload[0];
    delete early;
  }
  if (times > 0) {
    Session* block = MAKE(Session, "local block");
    sum += inlined(new Node(), times);
    use(*block);
    sum += block->id;
  }
  return sum;
}

void on_signal(int) {
  Session* handling = MAKE(Session, "local handling");
  wait_here();
  use(*handling);
}
__attribute__((noinline)) long interrupted() {
  Node* mine = MAKE(Node, "local mine");
  raise(SIGUSR1);
  use(*mine);
  return mine->payload[0];
}

void* run(void* number) {
  const auto which = static_cast<int>(reinterpret_cast<long>(number));
  long result = 0;
  if (which == 1) result = few_pointers(3);
  if (which == 2) result = containers();
  if (which == 3) result = pass_parameters();
  if (which == 4) result = calls_inlined(2);
  sink = sink + result;
  return nullptr;
}

}  // namespace shapes

using namespace shapes;

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  record = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  if (record < 0) return 2;
  signal(SIGUSR1, on_signal);
  for (long i = 1; i < kThreads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, run, reinterpret_cast<void*>(i)) != 0) return 2;
    while (arrived != i) usleep(1000);
  }
  return static_cast<int>(argc > 2 ? records() : interrupted());
}
