// typed_heap_libraries TRUTH_FILE: builds the heap of a small mail store out of abseil's and boost's containers, writes the type of
// every live block to TRUTH_FILE, what the containers own to TRUTH_FILE.containers, and dumps core.
//
//     g_store ─► Store ─┬─ absl: flat and node hash maps and sets, btrees, inlined vectors, fixed arrays
//                       ├─ boost: unordered, vector, small_vector, static_vector, flat_map, flat_set
//                       └─ Mailbox: each of them nested in others, most of them small: empty, one element, a few
//     g_drafts, g_labels, t_seen: the same as variables
//
// Elements come and go, so that tables have deleted slots, freed blocks and stale words.
#include <cxxabi.h>
#include <pthread.h>

#include <atomic>
#include <cstddef>

#include "typed_heap_library_namer.h"

namespace mail {

struct Address {
  std::string name;
  uint32_t domain = 0;
  auto parts() const { return std::tie(name); }
};

struct Part {
  std::string type;
  std::unique_ptr<std::string> body;
  auto parts() const { return std::tie(type, body); }
};

struct Message {
  uint64_t id = 0;
  Address from;
  absl::InlinedVector<Address, 2> to;
  boost::container::small_vector<Part, 1> bodies;
  absl::InlinedVector<uint32_t, 4> flags;
  const Message* answered = nullptr;
  auto parts() const { return std::tie(from, to, bodies, flags); }
};

struct Link {  // to what lies in a table
  const Message* message = nullptr;
};

struct Thread {
  boost::container::vector<std::unique_ptr<Message>> messages;
  boost::container::static_vector<std::string, 3> subjects;
  absl::flat_hash_set<uint64_t> readers;
  auto parts() const { return std::tie(messages, subjects, readers); }
};

struct Filter {
  std::string pattern;
  uint64_t hits = 0;
  virtual ~Filter() = default;
  virtual bool keeps(const Message& message) const { return message.id > hits; }
};
struct Redirect final : Filter {
  absl::FixedArray<Address> targets;
  explicit Redirect(size_t count) : targets(count) {}
  bool keeps(const Message&) const override { return false; }
  void name_parts(Namer& namer) const {
    namer.visit(pattern);
    namer.visit(targets);
  }
};

// Small ones: where most bugs of such containers are.
struct Mailbox {
  std::string owner;
  absl::flat_hash_map<uint32_t, std::unique_ptr<Thread>> threads;
  absl::flat_hash_map<std::string, std::string> headers;
  absl::flat_hash_set<std::unique_ptr<Address>> contacts;
  absl::node_hash_map<uint32_t, Address> senders;
  absl::node_hash_set<std::string> words;
  absl::btree_map<uint32_t, std::string> subjects;
  absl::btree_set<uint16_t> days;
  boost::unordered_map<std::string, uint64_t> sizes;
  boost::container::flat_map<std::string, std::unique_ptr<Part>> parts_by_name;
  auto parts() const {
    return std::tie(owner, threads, headers, contacts, senders, words, subjects, days, sizes, parts_by_name);
  }
};

struct Store {
  absl::flat_hash_map<std::string, std::unique_ptr<Mailbox>> mailboxes;
  absl::flat_hash_map<uint64_t, Message> messages;
  absl::flat_hash_map<uint64_t, Link> answers;
  absl::flat_hash_set<std::string> domains;
  absl::node_hash_map<std::string, Message> templates;
  absl::node_hash_set<std::string> phrases;
  absl::btree_map<std::string, Address> people;
  absl::btree_multimap<uint64_t, std::unique_ptr<Part>> parts_by_size;
  absl::btree_set<uint64_t> numbers;
  absl::btree_set<std::string> names;
  boost::unordered_map<uint64_t, Message> archive;
  boost::unordered_multimap<uint32_t, std::string> by_day;
  boost::unordered_set<std::string> banned;
  boost::container::vector<boost::container::vector<Address>> groups;
  boost::container::vector<boost::container::small_vector<std::string, 3>> lines;
  boost::container::flat_map<uint64_t, Thread> threads;
  boost::container::flat_set<std::string> tags;
  std::vector<std::unique_ptr<Redirect>> redirects;
  std::map<uint32_t, absl::InlinedVector<std::string, 1>> notes;
  absl::InlinedVector<std::unique_ptr<Part>, 2> spare;
  auto parts() const {
    return std::tie(mailboxes, messages, answers, domains, templates, phrases, people, parts_by_size, numbers, names,
                    archive, by_day, banned, groups, lines, threads, tags, redirects, notes, spare);
  }
};

Store* g_store;
absl::flat_hash_map<std::string, Message> g_drafts;
absl::btree_map<std::string, absl::flat_hash_set<std::string>> g_labels;
boost::unordered_map<std::string, boost::container::flat_set<uint64_t>> g_index;
thread_local absl::node_hash_map<uint64_t, std::string> t_seen;

uint64_t next_random() {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// Short ones stay inside the string, long ones do not.
std::string random_text() {
  std::string text = "text-" + std::to_string(next_random() % 100000);
  while (next_random() % 3 != 0) text += " and more of it";
  return text;
}

std::unique_ptr<Part> make_part() {
  auto part = std::unique_ptr<Part>(make<Part>());
  part->type = random_text();
  if (next_random() % 2 == 0) part->body.reset(make<std::string>(random_text()));
  return part;
}

Message make_message(uint64_t id) {
  Message message;
  message.id = id;
  message.from = {random_text(), 7};
  for (uint64_t i = id % 5; i > 0; --i) message.to.push_back({random_text(), static_cast<uint32_t>(i)});
  for (uint64_t i = id % 3; i > 0; --i) message.bodies.push_back(std::move(*make_part()));
  for (uint64_t i = id % 9; i > 0; --i) message.flags.push_back(static_cast<uint32_t>(i));
  return message;
}

void fill_thread(Thread& thread, uint64_t seed) {
  for (uint64_t i = seed % 6; i > 0; --i)
    thread.messages.push_back(std::unique_ptr<Message>(make<Message>(make_message(i))));
  for (uint64_t i = seed % 4; i > 0; --i) thread.subjects.push_back(random_text());
  for (uint64_t i = seed % 11; i > 0; --i) thread.readers.insert(next_random());
}

void fill_mailbox(Mailbox& box, uint64_t seed) {
  box.owner = random_text();
  for (uint32_t i = 0; i < seed % 4; ++i) {
    auto& thread = box.threads[i];
    thread.reset(make<Thread>());
    fill_thread(*thread, next_random());
  }
  for (uint64_t i = next_random() % 3; i > 0; --i) box.headers[random_text()] = random_text();
  for (uint64_t i = next_random() % 4; i > 0; --i)
    box.contacts.insert(std::unique_ptr<Address>(make<Address>(random_text(), 1u)));
  for (uint32_t i = 0; i < next_random() % 3; ++i) box.senders[i] = {random_text(), i};
  for (uint64_t i = next_random() % 3; i > 0; --i) box.words.insert(random_text());
  for (uint32_t i = 0; i < next_random() % 40; ++i) box.subjects[i * 7919 % 97] = random_text();
  for (uint64_t i = next_random() % 150; i > 0; --i) box.days.insert(static_cast<uint16_t>(next_random()));
  for (uint64_t i = next_random() % 5; i > 0; --i) box.sizes[random_text()] = i;
  for (uint64_t i = next_random() % 5; i > 0; --i) box.parts_by_name[random_text()] = make_part();
}

void fill_absl(Store& store) {
  for (uint64_t i = 0; i < 900; ++i) {
    store.messages.emplace(next_random(), make_message(i));
    store.domains.insert(random_text());
    store.templates.emplace(random_text(), make_message(i * 3));
    store.phrases.insert(random_text());
    store.people[random_text()] = {random_text(), 3};
    store.parts_by_size.emplace(i % 70, make_part());
    store.numbers.insert(next_random());
    store.names.insert(random_text());
    store.notes[static_cast<uint32_t>(i)].assign(i % 3, random_text());
    if (i % 3 == 0) store.domains.erase(store.domains.begin());
    if (i % 4 == 0) store.people.erase(store.people.begin());
    if (i % 5 == 0) store.messages.erase(store.messages.begin());
    if (i % 6 == 0) store.templates.erase(store.templates.begin());
  }
  for (const auto& [number, message] : store.messages) store.answers[number] = {&message};
  for (uint64_t i = 0; i < 300; ++i) {
    auto& box = store.mailboxes["box-" + std::to_string(i)];
    box.reset(make<Mailbox>());
    fill_mailbox(*box, i);
  }
  for (size_t i = 0; i < 60; ++i) {
    auto* redirect = make<Redirect>(i % 30);
    redirect->pattern = random_text();
    for (Address& target : redirect->targets) target.name = random_text();
    store.redirects.emplace_back(redirect);
  }
  for (size_t i = 0; i < 20; ++i) store.spare.push_back(make_part());
}

void fill_boost(Store& store) {
  for (uint64_t i = 0; i < 700; ++i) {
    store.archive.emplace(next_random(), make_message(i));
    store.by_day.emplace(i % 90, random_text());
    store.banned.insert(random_text());
    store.groups.emplace_back();
    for (uint64_t j = i % 8; j > 0; --j) store.groups.back().push_back({random_text(), 5});
    store.lines.emplace_back();
    for (uint64_t j = i % 7; j > 0; --j) store.lines.back().push_back(random_text());
    if (i % 4 == 0) fill_thread(store.threads[next_random()], i);
    store.tags.insert(random_text());
    if (i % 3 == 0) store.banned.erase(store.banned.begin());
    if (i % 5 == 0) store.archive.erase(store.archive.begin());
  }
}

void fill_variables() {
  for (uint64_t i = 0; i < 100; ++i) {
    g_drafts.emplace(random_text(), make_message(i));
    auto& labels = g_labels[random_text()];
    for (uint64_t j = i % 5; j > 0; --j) labels.insert(random_text());
    auto& index = g_index[random_text()];
    for (uint64_t j = i % 20; j > 0; --j) index.insert(next_random());
  }
}

// Blocks of many sizes that come and go.
void churn() {
  absl::flat_hash_map<uint64_t, Message> messages;
  boost::unordered_map<std::string, Thread> threads;
  for (uint64_t i = 0; i < 600; ++i) {
    messages.emplace(i, make_message(i));
    fill_thread(threads[random_text()], i);
    if (i % 7 == 0) threads.erase(threads.begin());
  }
}

std::atomic<bool> g_parked;

void* serve(void*) {
  for (uint64_t i = 0; i < 100; ++i) t_seen[i * i] = random_text();
  Namer().visit(t_seen);
  g_parked = true;
  for (;;) pause();
}

const char* demangled(const char* mangled) {
  static char text[kTruthMaxName];
  int status = 0;
  char* name = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  snprintf(text, sizeof text, "%s", name != nullptr ? name : mangled);
  free(name);
  return text;
}

}  // namespace mail

int main(int argc, char** argv) {
  using namespace mail;
  if (argc != 2) return 2;
  churn();
  g_store = make<Store>();
  fill_absl(*g_store);
  churn();
  fill_boost(*g_store);
  fill_variables();
  pthread_t thread;
  if (pthread_create(&thread, nullptr, serve, nullptr) != 0) return 4;
  while (!g_parked) usleep(1000);

  Namer namer;
  namer.visit(g_store);
  namer.visit(g_drafts);
  namer.visit(g_labels);
  namer.visit(g_index);
  truth_write(argv[1], demangled);
  write_containers((std::string(argv[1]) + ".containers").c_str(), demangled);
  abort();
}
