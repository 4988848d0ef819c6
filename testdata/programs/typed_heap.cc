// typed_heap TRUTH_FILE: builds the heap of a small server out of everything that C++ programs keep on heaps, writes the type of
// every live block to TRUTH_FILE, what the containers own to TRUTH_FILE.containers, and dumps core.
//
//     g_application ─► Application ─┬─ maps, sets, hash maps, lists, deques, vectors with std::allocator
//     g_sessions, g_curves          ├─ classes: virtual functions, multiple and virtual inheritance
//     t_recent, t_messages (TLS)    ├─ shared, weak, unique; optional, variant, any, function
//                                   ├─ Archive: the containers once more, with an allocator that names its blocks
//                                   └─ as C does it: flexible array, void*, tagged union, embedded list
//
// Nothing is leaked; churn() leaves free blocks and stale words behind.
#include <cxxabi.h>
#include <pthread.h>

#include <any>
#include <atomic>
#include <cstddef>
#include <functional>

#include "typed_heap_namer.h"

namespace shop {

struct Event {
  uint64_t time = 0;
  uint32_t kind = 0;
  float weight = 0;
};

struct Token {
  std::string secret;
  uint64_t expires = 0;
  auto parts() const { return std::tie(secret); }
};

struct Session {
  uint64_t id = 0;
  std::string user;
  std::vector<Event> events;
  std::optional<Token> token;
  std::vector<std::string> tags;
  const Session* previous = nullptr;
  auto parts() const { return std::tie(user, events, token, tags); }
};

struct Item {
  std::string name;
  uint32_t price = 0;
  double ratings[5] = {};
  ~Item() {}
  auto parts() const { return std::tie(name); }
};

using Value = std::variant<int64_t, double, std::string, std::vector<uint32_t>>;
struct Setting {
  std::string name;
  Value value;
  auto parts() const { return std::tie(name, value); }
};

struct Order {
  uint64_t number = 0;
  std::vector<std::vector<int>> rows;
  std::shared_ptr<Item> item;
  std::weak_ptr<Item> replaced;
  auto parts() const { return std::tie(rows, item, replaced); }
};

struct Point {
  double x = 0, y = 0;
};

struct Shape {
  int colour = 0;
  std::string label;
  virtual ~Shape() = default;
  virtual double area() const = 0;
  virtual void name_parts(Namer& namer) const { namer.visit(label); }
};
struct Circle final : Shape {
  double radius = 1;
  double area() const override { return 3 * radius * radius; }
};
struct Polygon : Shape {
  std::vector<Point> points;
  double area() const override { return 1; }
  void name_parts(Namer& namer) const override {
    Shape::name_parts(namer);
    namer.visit(points);
  }
};
struct Named {
  std::string title;
  virtual ~Named() = default;
  virtual size_t length() const { return title.size(); }
};
struct Poster final : Polygon, Named {
  uint64_t edition = 0;
  void name_parts(Namer& namer) const override {
    Polygon::name_parts(namer);
    namer.visit(title);
  }
};
struct Device {
  uint64_t serial = 7;
  virtual ~Device() = default;
  virtual int ports() const { return 1; }
};
struct Scanner : virtual Device {
  uint32_t resolution = 300;
};
struct Printer : virtual Device {
  uint64_t pages = 0;
  int ports() const override { return 2; }
};
struct Copier final : Scanner, Printer {
  char room[24] = "basement";
};

struct alignas(64) Counter {
  std::atomic<uint64_t> value{0};
};

// C, as it survives in many programs.
struct Packet {
  uint32_t length;
  uint16_t kind;
  char payload[];
};
struct Hook {
  Hook* next;
  Hook* previous;
};
struct Job {
  uint64_t id;
  Hook hook;  // the list runs through here
  char name[24];
};
struct Record {
  uint32_t code;
  uint64_t when;
  Record* older;
};
struct Slot {
  const char* label;
  void* data;  // always a Record
};
struct Blob {
  uint64_t bytes[12];
};
struct Cell {
  enum { number, text, blob } tag;
  union {
    int64_t number;
    char* text;
    Blob* blob;
  } as;
};

struct Retry {
  std::string url;
  uint64_t attempts[3];
  int operator()(int code) const { return code + static_cast<int>(attempts[0]); }
  auto parts() const { return std::tie(url); }
};
inline auto make_filter(uint64_t low, uint64_t high, uint64_t step) {
  return [low, high, step](int code) { return static_cast<int>(low + high + step) + code; };
}
// As large as what std::function keeps inside, but copied by code of its own: libstdc++ allocates it, libc++ does not.
inline auto make_watcher(std::shared_ptr<Item> item) {
  return [item](int code) { return static_cast<int>(item->price) + code; };
}
inline auto make_local(const Item* item) {
  return [item](int code) { return static_cast<int>(item->price) + code; };
}
struct Handler {
  std::function<int(int)> call;
  template <class F>
  void name_target(Namer& namer) const {
    const F* target = call.target<F>();
    if (target == nullptr) return;
    const auto offset = reinterpret_cast<uintptr_t>(target) - reinterpret_cast<uintptr_t>(this);
    if (offset >= sizeof *this) truth_name(target, typeid(FunctionBlock<F, int(int)>).name(), 0);
    namer.visit(*target);
  }
  void name_parts(Namer& namer) const {
    name_target<Retry>(namer);
    name_target<decltype(make_filter(0, 0, 0))>(namer);
    name_target<decltype(make_watcher(nullptr))>(namer);
  }
};
struct Curve {
  std::vector<Point> points;
  std::string label;
  auto parts() const { return std::tie(points, label); }
};
struct Attachment {
  std::any content;
  void name_parts(Namer& namer) const {
    if (const Blob* blob = std::any_cast<Blob>(&content)) truth_name(blob, typeid(Blob).name(), 0);
    if (const Curve* curve = std::any_cast<Curve>(&content)) {
      truth_name(curve, typeid(Curve).name(), 0);
      namer.visit(*curve);
    }
    if (const Setting* setting = std::any_cast<Setting>(&content)) {
      truth_name(setting, typeid(Setting).name(), 0);
      namer.visit(*setting);
    }
  }
};

template <class T>
using RecordedVector = std::vector<T, Recording<T>>;
using RecordedText = std::basic_string<char, std::char_traits<char>, Recording<char>>;

// The same containers with an allocator of their own.
struct Archive {
  std::map<int, RecordedText, std::less<int>, Recording<std::pair<const int, RecordedText>>> notes;
  std::set<uint64_t, std::less<uint64_t>, Recording<uint64_t>> numbers;
  std::unordered_map<std::string, Point, std::hash<std::string>, std::equal_to<std::string>,
                     Recording<std::pair<const std::string, Point>>>
      places;
  std::unordered_set<int, std::hash<int>, std::equal_to<int>, Recording<int>> codes;
  std::list<Point, Recording<Point>> path;
  std::forward_list<Event, Recording<Event>> log;
  std::deque<Point, Recording<Point>> track;
  RecordedVector<RecordedVector<Event>> batches;
  std::shared_ptr<Session> first;
  auto parts() const { return std::tie(places, first); }
};

struct Application {
  std::unordered_map<std::string, std::unique_ptr<Session>> by_name;
  std::unordered_map<uint64_t, const Session*> by_id;
  std::unordered_set<std::string> banned;
  std::multimap<std::string, Setting> settings;
  std::set<std::string> words;
  std::list<Order> orders;
  std::forward_list<int> free_numbers;
  std::deque<Order> queue;
  std::deque<uint32_t> ticks;
  std::vector<std::unique_ptr<Shape>> shapes;
  std::vector<Named*> posters;
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<std::shared_ptr<Item>> shelf;
  std::vector<Handler> handlers;
  std::vector<Attachment> attachments;
  std::unique_ptr<Item[]> catalogue;
  std::unique_ptr<Point[]> grid;
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Archive> archive;
  Job** job_table = nullptr;
  size_t jobs = 0;
  Hook job_list;
  std::vector<Packet*> packets;
  std::vector<Slot> slots;
  Cell* cells = nullptr;
  auto parts() const {
    return std::tie(by_name, by_id, banned, settings, words, orders, free_numbers, queue, ticks, shapes, devices, shelf,
                    handlers, attachments, counter, archive, packets, slots);
  }
};

std::map<std::string, Session> g_sessions;
std::vector<std::vector<Point>> g_curves;
static Item* g_featured;
Application* g_application;
thread_local std::vector<std::unique_ptr<Session>> t_recent;
thread_local std::map<int, std::string> t_messages;

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

Session make_session(uint64_t id) {
  Session session;
  session.id = id;
  session.user = random_text();
  for (uint64_t i = next_random() % 12; i > 0; --i) session.events.push_back({i, static_cast<uint32_t>(id), 1.5f});
  if (id % 3 == 0) session.token = Token{random_text(), id * 1000};
  for (uint64_t i = id % 4; i > 0; --i) session.tags.push_back(random_text());
  return session;
}

void fill_sessions() {
  const Session* previous = nullptr;
  for (uint64_t i = 0; i < 2500; ++i) {
    Session& session = g_sessions["session-" + std::to_string(i) + (i % 2 != 0 ? "-of-a-longer-name" : "")];
    session = make_session(i);
    session.previous = previous;
    previous = &session;
    if (i % 5 == 4) {
      g_sessions.erase(g_sessions.begin());
      previous = nullptr;
    }
  }
  for (Session* last = nullptr; auto& [name, session] : g_sessions) {  // no pointer to one that is gone
    session.previous = last;
    last = &session;
  }
  for (size_t i = 0; i < 200; ++i) g_curves.emplace_back(1 + next_random() % 30, Point{1, 2});
}

void fill_containers(Application& app) {
  for (uint64_t i = 0; i < 1200; ++i) {
    auto session = std::unique_ptr<Session>(make<Session>(make_session(i)));
    app.by_id[i] = session.get();
    app.by_name["name-" + std::to_string(i * 977)] = std::move(session);
    app.banned.insert(random_text());
    app.words.insert(random_text());
    app.free_numbers.push_front(static_cast<int>(i));
    app.ticks.push_back(static_cast<uint32_t>(i));
  }
  for (int i = 0; i < 600; ++i) {
    Value value;
    if (i % 4 == 0) value = int64_t{i};
    if (i % 4 == 1) value = i / 2.0;
    if (i % 4 == 2) value = random_text() + " with a tail that needs the heap";
    if (i % 4 == 3) value = std::vector<uint32_t>(1 + next_random() % 20, 5);
    app.settings.emplace("key-" + std::to_string(i % 100), Setting{random_text(), std::move(value)});
  }
}

void fill_orders(Application& app) {
  for (uint64_t i = 0; i < 500; ++i) {
    std::shared_ptr<Item> item = i % 2 == 0 ? std::make_shared<Item>() : std::shared_ptr<Item>(make<Item>());
    item->name = random_text();
    std::shared_ptr<Item> gone = std::make_shared<Item>();
    Order order{i, {}, item, i % 5 == 0 ? gone : item};
    for (uint64_t row = 0; row < i % 4; ++row) order.rows.emplace_back(1 + i % 9, 42);
    if (i % 3 == 0) app.orders.push_back(order);
    if (i % 3 == 1) app.queue.push_front(order);
    app.shelf.push_back(std::move(item));
  }
  for (size_t i = 0; i < 40; ++i) app.queue.pop_back();
  app.catalogue.reset(make_array<Item>(50));
  for (int i = 0; i < 50; ++i) app.catalogue[i].name = random_text();
  app.grid.reset(make_array<Point>(300));
  app.counter.reset(make<Counter>());
  g_featured = make_array<Item>(7);
}

void fill_classes(Application& app) {
  for (uint64_t i = 0; i < 400; ++i) {
    if (i % 3 == 0) app.shapes.emplace_back(new Circle);
    if (i % 3 == 1) {
      auto* polygon = new Polygon;
      polygon->points.resize(3 + i % 6);
      app.shapes.emplace_back(polygon);
    }
    if (i % 3 == 2) {
      auto* poster = new Poster;
      poster->title = random_text();
      app.posters.push_back(poster);
      app.shapes.emplace_back(poster);
    }
    app.shapes.back()->label = random_text();
    app.devices.emplace_back(i % 2 == 0 ? static_cast<Device*>(new Copier) : new Printer);
  }
  for (uint64_t i = 0; i < 150; ++i) {
    if (i % 2 == 0) app.handlers.push_back({Retry{random_text(), {i, 2, 3}}});
    if (i % 2 == 1) app.handlers.push_back({make_filter(i, i * 2, 3)});
    if (i % 2 == 0) app.handlers.push_back({make_watcher(app.shelf[i])});
    if (i % 2 == 1) app.handlers.push_back({make_local(app.shelf[i].get())});
    if (i % 2 == 0) app.attachments.push_back({Blob{}});
    if (i % 2 == 1) app.attachments.push_back({Setting{random_text(), int64_t{4}}});
    if (i % 3 == 1) app.attachments.push_back({Curve{std::vector<Point>(i % 8 + 1), random_text()}});
  }
}

void fill_plain(Application& app) {
  app.jobs = 300;
  app.job_table = make_array<Job*>(app.jobs);
  app.job_list = {&app.job_list, &app.job_list};
  for (size_t i = 0; i < app.jobs; ++i) {
    Job* job = make_plain<Job>();
    job->id = i;
    job->hook = {&app.job_list, app.job_list.previous};
    job->hook.previous->next = &job->hook;
    app.job_list.previous = &job->hook;
    snprintf(job->name, sizeof job->name, "job %u", static_cast<unsigned>(i));
    app.job_table[i] = i % 3 == 0 ? nullptr : job;  // the others are held by the list alone
  }
  Record* older = nullptr;
  for (uint32_t i = 0; i < 300; ++i) {
    uint32_t length = static_cast<uint32_t>(next_random() % 200);
    Packet* packet = make_plain<Packet>(length);
    packet->length = length;
    memset(packet->payload, 'p', length);
    app.packets.push_back(packet);
    Record* record = make_plain<Record>();
    *record = {i, i * 60u, i % 4 == 0 ? nullptr : older};
    older = record;
    app.slots.push_back({"a label", record});
  }
  const size_t cells = 240;
  app.cells = make_array<Cell>(cells);
  for (size_t i = 0; i < cells; ++i) {
    app.cells[i].tag = i % 3 == 0 ? Cell::number : i % 3 == 1 ? Cell::text : Cell::blob;
    if (i % 3 == 0) app.cells[i].as.number = static_cast<int64_t>(i);
    if (i % 3 == 1) {
      app.cells[i].as.text = make_array<char>(40);
      snprintf(app.cells[i].as.text, 40, "cell %zu of many", i);
    }
    if (i % 3 == 2) app.cells[i].as.blob = make_plain<Blob>();
  }
}

void fill_archive(Archive& archive) {
  for (int i = 0; i < 400; ++i) {
    archive.notes[i] = RecordedText(random_text());
    archive.numbers.insert(next_random());
    archive.places[random_text()] = {1.0 * i, 2};
    archive.codes.insert(i * 31);
    archive.path.push_back({3, 4});
    archive.log.push_front({5, 6, 7});
    archive.track.push_back({8, 9});
    archive.batches.emplace_back(2 + i % 7);
  }
  archive.first = std::allocate_shared<Session>(Recording<Session>(), make_session(1));
}

// Blocks of many sizes that come and go, so that there are free ones and used ones hold what others left.
void churn() {
  std::vector<std::string> texts;
  std::list<Session> sessions;
  for (uint64_t i = 0; i < 1000; ++i) {
    texts.push_back(random_text() + random_text());
    sessions.push_back(make_session(i));
    if (i % 7 == 0) sessions.pop_front();
  }
}

std::atomic<bool> g_parked;

void* serve(void*) {
  for (int i = 0; i < 100; ++i) t_messages[i] = random_text();
  Namer().visit(t_messages);
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

}  // namespace shop

int main(int argc, char** argv) {
  using namespace shop;
  if (argc != 2) return 2;
  churn();
  g_application = make<Application>();
  fill_sessions();
  fill_containers(*g_application);
  churn();
  fill_orders(*g_application);
  fill_classes(*g_application);
  fill_plain(*g_application);
  g_application->archive.reset(make<Archive>());
  fill_archive(*g_application->archive);
  for (uint64_t i = 0; i < 50; ++i) t_recent.emplace_back(make<Session>(make_session(i)));
  pthread_t thread;
  if (pthread_create(&thread, nullptr, serve, nullptr) != 0) return 4;
  while (!g_parked) usleep(1000);

  Namer namer;
  namer.visit(g_sessions);
  namer.visit(g_curves);
  namer.visit(g_application);
  for (int i = 0; i < 50; ++i) namer.visit(g_application->catalogue[i]);
  for (int i = 0; i < 7; ++i) namer.visit(g_featured[i]);
  namer.name_start<Named*>(g_application->posters.data());  // they are owned through Shape
  namer.visit(t_recent);
  truth_write(argv[1], demangled);
  write_containers((std::string(argv[1]) + ".containers").c_str(), demangled);
  abort();
}
