#include "tests/support/analysis_builder.h"

#include <cstdlib>
#include <cstring>
#include <set>

#include "heapwalk/types/type_inference.h"
#include "tests/support/graph_text.h"

namespace heapwalk::test {
namespace {

constexpr uint64_t kHeap = 0x10000000;
constexpr uint64_t kVtables = 0x400000;
constexpr uint64_t kVtableBytes = 32;  // offset to top, typeinfo, two functions

class OneRegion final : public HeapDecoder {
 public:
  explicit OneRegion(AddressRange range) : regions_{{range, "main arena"}} {}

  const AllocatorFacts& facts() const override { return facts_; }
  std::span<const HeapRegion> regions() const override { return regions_; }
  uint32_t granule_bytes() const override { return 16; }
  void walk(size_t, AllocationSink&, Diagnostics&) const override {}
  std::span<const AddressRange> private_ranges() const override { return {}; }
  std::span<const Address> private_words() const override { return {}; }

 private:
  AllocatorFacts facts_{"glibc", "2.36", "made by hand"};
  std::vector<HeapRegion> regions_;
};

struct Storage {  // what the dump borrows from
  std::vector<std::byte> vtables;
  std::vector<std::byte> heap;
  std::set<std::string> names;
};

void put_word(std::vector<std::byte>& bytes, size_t offset, uint64_t value) {
  if (offset + sizeof value > bytes.size()) std::abort();
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

}  // namespace

AnalysisBuilder::OwnerRef AnalysisBuilder::owner(OwnerKind kind, std::string name) {
  roots_.owners.push_back({kind, kNoOwner, std::move(name)});
  return OwnerRef(roots_.owners.size() - 1);
}

AnalysisBuilder::OwnerRef AnalysisBuilder::owner(OwnerKind kind, std::string name, OwnerRef parent) {
  roots_.owners.push_back({kind, static_cast<uint32_t>(parent), std::move(name)});
  return OwnerRef(roots_.owners.size() - 1);
}

AnalysisBuilder::RootRef AnalysisBuilder::root(RootKind kind, OwnerRef owner, std::string name, std::string source) {
  Root root;
  root.kind = kind;
  root.owner = static_cast<uint32_t>(owner);
  root.name = root.stable_name = std::move(name);
  root.source = std::move(source);
  if (kind != RootKind::register_) root.location = AddressRange::of(Address{0x600000 + 64 * roots_.roots.size()}, 64);
  roots_.roots.push_back(std::move(root));
  return RootRef(roots_.roots.size() - 1);
}

AnalysisBuilder::ObjectRef AnalysisBuilder::object(uint64_t size_bytes, std::string_view mangled_class,
                                                   AllocationState state) {
  uint64_t at = objects_.empty() ? kHeap + 16 : addresses_.back() + ((objects_.back().size_bytes + 8 + 15) & ~15ULL);
  addresses_.push_back(at);
  objects_.push_back({size_bytes, std::string(mangled_class), state});
  return ObjectRef(objects_.size() - 1);
}

AnalysisBuilder& AnalysisBuilder::refer(RootRef from, ObjectRef to, EdgeKind kind) {
  references_.push_back({true, static_cast<uint32_t>(from), static_cast<uint32_t>(to), kind});
  return *this;
}

AnalysisBuilder& AnalysisBuilder::refer(ObjectRef from, ObjectRef to, EdgeKind kind) {
  references_.push_back({false, static_cast<uint32_t>(from), static_cast<uint32_t>(to), kind});
  return *this;
}

CoreDump AnalysisBuilder::make_dump() const {
  auto storage = std::make_shared<Storage>();
  std::map<std::string, uint64_t> vtable_of;
  for (const Object& object : objects_) {
    if (!object.mangled_class.empty()) vtable_of.try_emplace(object.mangled_class, 0);
  }
  storage->vtables.resize(std::max<size_t>(1, vtable_of.size()) * kVtableBytes);
  std::vector<Symbol> symbols;
  uint64_t at = kVtables;
  for (auto& [name, address] : vtable_of) {
    address = at;
    put_word(storage->vtables, at - kVtables + 8, 0x500000);  // some typeinfo
    symbols.push_back({.link_address = at,
                       .size_bytes = kVtableBytes,
                       .name = *storage->names.insert("_ZTV" + name).first,
                       .kind = SymbolKind::object,
                       .global = true});
    at += kVtableBytes;
  }
  storage->heap.resize(objects_.empty() ? 16 : addresses_.back() + objects_.back().size_bytes + 16 - kHeap);
  for (size_t i = 0; i < objects_.size(); ++i) {
    if (objects_[i].mangled_class.empty()) continue;
    put_word(storage->heap, addresses_[i] - kHeap, vtable_of[objects_[i].mangled_class] + 16);
  }

  CoreDump dump;
  dump.path = "core.1234";
  dump.process.pid = 1234;
  dump.process.command = "server";
  dump.process.time_seconds = 1'700'000'000;
  Module program;
  program.path = "/srv/bin/server";
  program.name = "server";
  program.build_id = "0123456789abcdef0123456789abcdef01234567";
  program.is_executable = true;
  program.range = AddressRange::of(Address{kVtables}, 0x200000);
  program.symbols = SymbolTable(std::move(symbols));
  dump.modules.push_back(std::move(program));
  dump.memory = AddressSpace(std::vector<Region>{
      {AddressRange::of(Address{kVtables}, storage->vtables.size()), ByteState::core, storage->vtables.data()},
      {AddressRange::of(Address{kHeap}, storage->heap.size()), ByteState::core, storage->heap.data()}});
  dump.storage = storage;
  return dump;
}

RetentionGraph AnalysisBuilder::make_graph(const RootSet& roots) const {
  uint32_t first_object = first_object_node(roots);
  std::vector<std::vector<Edge>> rows(first_object + objects_.size());
  for (uint32_t i = 0; i < roots.owners.size(); ++i) {
    NodeId above = roots.owners[i].parent == kNoOwner ? kProcessNode : owner_node(roots, roots.owners[i].parent);
    rows[index(above)].push_back({owner_node(roots, i), EdgeKind::exact});
  }
  for (uint32_t i = 0; i < roots.roots.size(); ++i) {
    rows[index(owner_node(roots, roots.roots[i].owner))].push_back({root_node(roots, i), EdgeKind::exact});
  }
  for (const Reference& reference : references_) {
    NodeId from = reference.from_root ? root_node(roots, reference.from) : NodeId{first_object + reference.from};
    rows[index(from)].push_back({NodeId{first_object + reference.to}, reference.kind});
  }
  return heapwalk::make_graph(std::move(rows), first_object);
}

Analysis AnalysisBuilder::build() const {
  Analysis analysis;
  analysis.dump = std::make_unique<const CoreDump>(make_dump());
  AddressRange region = AddressRange::of(
      Address{kHeap},
      objects_.empty() ? 0x1000 : ((addresses_.back() + objects_.back().size_bytes + 0x1000) & ~0xfffULL) - kHeap);
  analysis.decoders.push_back(std::make_unique<OneRegion>(region));
  std::vector<AllocationSink> sinks;
  sinks.emplace_back(region, uint8_t{0}, 16);
  for (size_t i = 0; i < objects_.size(); ++i) sinks[0].add(address_of(i), objects_[i].size_bytes, objects_[i].state);
  analysis.objects = ObjectIndex::build(std::move(sinks), analysis.diagnostics);
  if (analysis.objects.size() != objects_.size()) std::abort();
  analysis.roots = roots_;
  analysis.types =
      infer_types(*analysis.dump, analysis.objects, analysis.roots, TypeTable(), {}, {}, 1, analysis.diagnostics);
  analysis.graph = make_graph(analysis.roots);
  analysis.reachability = find_reachable(analysis.graph, analysis.objects);
  analysis.dominators = find_dominators(analysis.graph, analysis.reachability, analysis.objects);
  const auto retained =
      analysis.dominators.retained_objects({kProcessNode, kUnreachableNode}, analysis.reachability, analysis.graph);
  Totals& totals = analysis.summary.totals;
  totals.reachable_bytes = analysis.dominators.retained_bytes(kProcessNode);
  totals.reachable_objects = retained[0];
  totals.leaked_bytes = analysis.dominators.retained_bytes(kUnreachableNode);
  totals.leaked_objects = retained[1];
  totals.used_bytes = totals.reachable_bytes + totals.leaked_bytes;
  totals.used_objects = totals.reachable_objects + totals.leaked_objects;
  return analysis;
}

Analysis sample_analysis() {
  Analysis analysis = AnalysisBuilder().build();
  CoreDump dump;
  dump.path = "cores/core.1234";
  dump.file_size_bytes = 851'968'000;
  dump.process = {.pid = 1234,
                  .command = "server",
                  .arguments = "server --port 80\x1b[2J",
                  .signal = 11,
                  .signal_code = 1,
                  .fault_address = Address{0x10},
                  .time_seconds = 1'763'701'308};
  Thread crashed, other;
  crashed.tid = 1240;
  crashed.name = "worker-3";
  crashed.crashed = true;
  crashed.program_counter = Address{0x401234};
  crashed.stack = AddressRange::of(Address{0x7f0000000000}, 8192);
  other.tid = 1234;
  other.name = "server";
  dump.threads = {crashed, other};
  Module program, library;
  program.path = "/srv/bin/server";
  program.name = "server";
  program.build_id = "0123456789abcdef0123456789abcdef01234567";
  program.file_path = "/srv/bin/server";
  program.is_executable = true;
  program.range = AddressRange::of(Address{0x400000}, 0x100000);
  library.path = "/lib/x86_64-linux-gnu/libc.so.6";
  library.range = AddressRange::of(Address{0x7f1000000000}, 0x200000);
  dump.modules = {program, library};
  analysis.dump = std::make_unique<const CoreDump>(std::move(dump));
  analysis.types = std::make_unique<const ObjectTypes>();

  Summary& s = analysis.summary;
  s.totals = {.used_bytes = 64'000'000,
              .used_objects = 130'000,
              .reachable_bytes = 60'000'000,
              .reachable_objects = 125'000,
              .shared_bytes = 1'024,
              .shared_objects = 3,
              .possibly_live_bytes = 4'096,
              .possibly_live_objects = 2,
              .leaked_bytes = 4'000'000,
              .leaked_objects = 5'000,
              .free_bytes = 2'000'000,
              .cached_bytes = 96'000,
              .cached_objects = 700,
              .metadata_bytes = 1'000'000,
              .unexplained_bytes = 0};
  s.memory = {{"heap", "glibc main arena", 67'096'000, 67'096'000},
              {"stack", "thread 1240", 8'392'704, 135'168},
              {"stack", "thread 1234", 135'168, 135'168},
              {"module", "libc.so.6", 57'344, 57'344},
              {"tls", "thread 1240", 4'096, 4'096},
              {"unknown", "anonymous mapping", 1'048'576, 4'096}};
  s.allocators = {
      {"glibc", "2.36", "symbol main_arena", 67'096'000, 64'000'000, 130'000, 2'000'000, 96'000, 700, 1'000'000, 0}};
  Address node{0x55550010};
  s.suspects = {
      {"`g_sessions` (global, server, src/cache.cc:12) holds 45.78MB in 120,004 allocations, 75.0 % of the heap",
       "global",
       "g_sessions",
       "Session",
       48'000'000,
       120'004,
       {{Address{0x404040}, "g_sessions", "", EdgeKind::conservative, 1, 48'000'000},
        {node, "[64..128)", "+0x10", EdgeKind::conservative, 1, 47'999'000},
        {node, "Node", "+0x8", EdgeKind::exact, 120'000, 800},
        {node, "Session", "+0x18", EdgeKind::tainted, 1, 400}}},
      {"5,000 leaked Request, the first at 0x55550020,: no reference leads to 3.81MB",
       "leak",
       "Request",
       "Request",
       4'000'000,
       5'000,
       {}}};
  s.roots = {{"g_sessions", "global", "server", "Session*", "src/cache.cc:12", 48'000'000, 120'004},
             {"evil\x1b[31m\t\"name\"\\ <b>\n\xff\xfe\xe2\x80\xae"
              "tail",
              "stack", "thread 1240 \"worker-3\", #4 handle\trequest", "", "", 11'000'000, 4'000},
             {"rbx", "register", "thread 1240 \"worker-3\"", "", "", 1'000'000, 996}};
  s.owners = {{"server", "module", 48'000'000, 120'004}, {"thread 1240 \"worker-3\"", "thread", 12'000'000, 4'996}};
  s.types = {{"Session", 60'000, 24'000'000, 47'000'000}, {"[48 B]", 65'000, 3'120'000, 3'120'000}};
  s.leaks = {{"Request", 2'500, 5'000, 4'000'000, Address{0x55550020}}};
  s.containers = {{"std::vector<Request, std::allocator<Request> >", "Session.pending", 40, 5'000, 1'250'000, 3},
                  {"std::map<int, Session*>", "g_sessions", 1, 120'000, 0, 0}};
  s.sites = {{"example.com/shop/cart.(*Cache).fill\x1b[1m", "/src/shop/cart/cache.go", 42,
              "example.com/shop/cart.cache", 32'505'856, 62'000, 62},
             {"unknown code", "", 0, "goroutine main.worker\tlocal batch (shared)", 524'800, 1, 1}};
  s.evidence = {.runtime = 24'000'000, .container = 0, .pointer = 0, .field = 0, .none = 40'000'000};
  analysis.diagnostics = Diagnostics();
  analysis.diagnostics.add("missing_module", "libfoo.so: file not found, its variables have no names");
  analysis.diagnostics.add("corrupt_chunk", "chunk at 0x55559990: size 0x\x01 is odd", 3);
  analysis.stages = {{"open", 0.0125, 10'000'000}, {"summary", 1.5, 20'000'000}};
  return analysis;
}

}  // namespace heapwalk::test
