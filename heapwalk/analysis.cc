#include "heapwalk/analysis.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/word_scan.h"
#include "heapwalk/summary_builder.h"
#include "heapwalk/types/container_census.h"
#include "heapwalk/types/type_inference.h"

namespace heapwalk {
namespace {

// The high-water mark of this process's resident memory, the mapped core included.
uint64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

// Marks the stages as they begin and end: progress for people, times for benchmarks.
class StageClock {
 public:
  StageClock(Analysis& analysis, const AnalysisOptions& options) : analysis_(analysis), options_(options) {}
  ~StageClock() { finish(); }
  StageClock(const StageClock&) = delete;
  StageClock& operator=(const StageClock&) = delete;

  void start(std::string_view name) {
    finish();
    name_ = name;
    start_ = std::chrono::steady_clock::now();
    if (options_.on_stage) options_.on_stage(name);
  }
  void finish() {
    if (name_.empty()) return;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    analysis_.stages.push_back({std::exchange(name_, {}), elapsed.count(), peak_rss_bytes()});
  }

 private:
  Analysis& analysis_;
  const AnalysisOptions& options_;
  std::string name_;
  std::chrono::steady_clock::time_point start_;
};

// Walks every region of every allocator, in parallel, and joins the results. `totals` receives one sum per decoder.
ObjectIndex index_objects(std::span<const std::unique_ptr<HeapDecoder>> decoders, size_t threads,
                          std::vector<StateTotals>& totals, Diagnostics& diagnostics) {
  std::vector<AllocationSink> sinks;
  std::vector<std::pair<const HeapDecoder*, size_t>> work;
  for (size_t d = 0; d < decoders.size(); ++d) {
    for (size_t region = 0; region < decoders[d]->regions().size(); ++region) {
      sinks.emplace_back(decoders[d]->regions()[region].range, static_cast<uint8_t>(d), decoders[d]->granule_bytes());
      work.emplace_back(decoders[d].get(), region);
    }
  }
  std::vector<Diagnostics> found(work.size());
  parallel_for(work.size(), threads, [&](size_t i) { work[i].first->walk(work[i].second, sinks[i], found[i]); });
  totals.assign(decoders.size(), {});
  for (size_t i = 0; i < work.size(); ++i) {
    diagnostics.merge(found[i]);
    StateTotals& sum = totals[sinks[i].allocator()];
    for (size_t state = 0; state < kAllocationStates; ++state) {
      sum.bytes[state] += sinks[i].totals().bytes[state];
      sum.objects[state] += sinks[i].totals().objects[state];
    }
    sum.unexplained_bytes += sinks[i].totals().unexplained_bytes;
  }
  return ObjectIndex::build(std::move(sinks), diagnostics);
}

PrivateMemory collect_private_memory(std::span<const std::unique_ptr<HeapDecoder>> decoders) {
  PrivateMemory memory;
  for (const auto& decoder : decoders) {
    memory.ranges.insert(memory.ranges.end(), decoder->private_ranges().begin(), decoder->private_ranges().end());
    memory.words.insert(memory.words.end(), decoder->private_words().begin(), decoder->private_words().end());
  }
  memory.ranges = merged(std::move(memory.ranges));
  std::ranges::sort(memory.words);
  return memory;
}

// A process has one managed heap: two run-times with collectors of their own do not share one.
ManagedHeap find_managed(std::span<const std::unique_ptr<Runtime>> runtimes, Diagnostics& diagnostics) {
  for (const auto& runtime : runtimes)
    if (ManagedHeap managed = runtime->find_pointers(diagnostics); !managed.empty()) return managed;
  return {};
}

// What the run-times know of their own objects, then what the program's types say of all others.
std::unique_ptr<const ObjectTypes> type_objects(const Analysis& analysis, TypeTableBuilder types, size_t threads,
                                                Diagnostics& diagnostics) {
  std::vector<RuntimeTypes> known;
  known.reserve(analysis.runtimes.size());
  for (const auto& runtime : analysis.runtimes)
    known.push_back(
        runtime->type_objects(analysis.objects, analysis.roots, analysis.managed, types, threads, diagnostics));
  return infer_types(*analysis.dump, analysis.objects, analysis.roots, std::move(types).finish(), known,
                     analysis.managed, threads, diagnostics);
}

std::vector<AddressRange> heap_ranges(std::span<const std::unique_ptr<HeapDecoder>> decoders) {
  std::vector<AddressRange> ranges;
  for (const auto& decoder : decoders)
    for (const HeapRegion& region : decoder->regions()) ranges.push_back(region.range);
  return merged(std::move(ranges));
}

}  // namespace

// Run-times first: what is theirs, malloc's search for blocks must not look at.
void find_allocators(Analysis& analysis) {
  const CoreDump& dump = *analysis.dump;
  std::vector<AddressRange> taken;
  for (DetectRuntime detect : runtime_registry()) {
    auto runtime = detect(dump, analysis.diagnostics);
    if (runtime == nullptr) continue;
    const auto memory = runtime->memory();
    taken.insert(taken.end(), memory.begin(), memory.end());
    if (auto decoder = runtime->make_heap_decoder()) analysis.decoders.push_back(std::move(decoder));
    analysis.runtimes.push_back(std::move(runtime));
  }
  taken = merged(std::move(taken));
  for (const AllocatorEntry& entry : allocator_registry())
    if (auto decoder = entry.detect(dump, taken, analysis.diagnostics)) analysis.decoders.push_back(std::move(decoder));
  if (analysis.decoders.empty())
    analysis.diagnostics.add("no_allocator", "no known allocator was found in this core: its heap is not decoded");
}

Result<Analysis> analyze(const std::string& core_path, const AnalysisOptions& options) {
  Analysis analysis;
  StageClock clock(analysis, options);
  const size_t threads = std::max<size_t>(1, options.threads);

  clock.start("open");  // the core, its threads and modules; from here on no new byte of the process appears
  Result<CoreDump> dump = open_core_dump(core_path, options.core);
  if (!dump) return std::unexpected(dump.error());
  analysis.dump = std::make_unique<const CoreDump>(*std::move(dump));
  analysis.diagnostics.merge(analysis.dump->diagnostics);

  clock.start("allocations");  // every block of every allocator; from here on no new object appears
  std::vector<StateTotals> totals;
  find_allocators(analysis);
  analysis.objects = index_objects(analysis.decoders, threads, totals, analysis.diagnostics);
  analysis.private_memory = collect_private_memory(analysis.decoders);

  clock.start("roots");  // the places outside the heap that refer into it; from here on no new root appears
  const std::vector<AddressRange> heap = heap_ranges(analysis.decoders);
  analysis.managed = find_managed(analysis.runtimes, analysis.diagnostics);
  TypeTableBuilder types;
  analysis.roots =
      find_roots({analysis.dump.get(), &analysis.objects, heap, &analysis.private_memory, threads, options.core,
                  analysis.managed.empty() ? nullptr : &analysis.managed, &types, analysis.runtimes},
                 analysis.diagnostics);

  clock.start("types");  // what the objects are; from here on no object changes its type
  analysis.types = type_objects(analysis, std::move(types), threads, analysis.diagnostics);
  analysis.summary.containers = count_containers({*analysis.dump, analysis.objects, analysis.roots, *analysis.types},
                                                 threads, analysis.diagnostics);
  release_free_memory();

  clock.start("references");  // every word that refers to an object; from here on no new edge appears
  Result<RetentionGraph> graph =
      scan_references(*analysis.dump, analysis.objects, analysis.roots, *analysis.types, analysis.private_memory,
                      analysis.managed, threads, analysis.diagnostics);
  if (!graph) return std::unexpected(graph.error());
  analysis.graph = *std::move(graph);

  clock.start("reachability");  // live, possibly live, leaked; shortest paths; leak roots
  analysis.reachability = find_reachable(analysis.graph, analysis.objects);

  clock.start("dominators");  // who alone holds what, and how much
  analysis.dominators = find_dominators(analysis.graph, analysis.reachability, analysis.objects, threads);
  release_free_memory();

  clock.start("summary");  // accounting, suspects, leaks: the rows of the report
  build_summary(analysis, totals, threads);
  clock.finish();
  return analysis;
}

}  // namespace heapwalk
