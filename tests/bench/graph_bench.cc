// The graph stages on synthetic heaps: seconds per stage, allocations per second, anonymous memory per allocation.
//
//     graph_bench --benchmark_filter=mixed        mixed/3000000/local …
//
// Each run makes its heap first (not measured), then index, scan, reachability and dominators, each once. The peak of
// anonymous memory is sampled from /proc/self/status, because the kernel keeps a high-water mark only for all memory.
#include <benchmark/benchmark.h>

#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "dump/base/parallel.h"
#include "heapwalk/dominator_tree.h"
#include "heapwalk/reference_scan.h"
#include "tests/support/synthetic_heap.h"

namespace heapwalk {
namespace {

uint64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class PeakSampler {
 public:
  PeakSampler() : base_(anonymous_bytes()), thread_([this](std::stop_token stop) { run(stop); }) {}
  uint64_t take() { return peak_.exchange(0); }
  uint64_t base() const { return base_; }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      uint64_t now = anonymous_bytes();
      peak_ = std::max(peak_.load(), now - std::min(now, base_));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  uint64_t base_;
  std::atomic<uint64_t> peak_{0};
  std::jthread thread_;
};

void run_chain(benchmark::State& state, HeapShape shape, uint32_t allocations, bool shuffled, size_t threads) {
  SyntheticHeap heap = make_heap(shape, allocations, shuffled);
  malloc_trim(0);
  for (auto _ : state) {
    PeakSampler sampler;
    uint64_t peak = 0;
    auto began = std::chrono::steady_clock::now();
    auto stage = [&](const char* name, auto&& work) {
      auto start = std::chrono::steady_clock::now();
      double cpu = cpu_seconds();
      auto result = work();
      state.counters[std::string(name) + "_cpu"] = cpu_seconds() - cpu;
      std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      uint64_t stage_peak = sampler.take();
      peak = std::max(peak, stage_peak);
      state.counters[std::string(name) + "_s"] = seconds.count();
      state.counters[std::string(name) + "_B"] = static_cast<double>(stage_peak) / allocations;
      return result;
    };
    Diagnostics diagnostics;
    ObjectIndex objects = stage("1index", [&] { return ObjectIndex::build(heap.sinks(), diagnostics); });
    auto graph = stage("2scan", [&] {
      return scan_references(heap.dump, objects, heap.roots, ObjectTypes(), PrivateMemory{}, {}, threads, diagnostics)
          .value();
    });
    Reachability reach = stage("3reach", [&] { return find_reachable(graph, objects); });
    DominatorTree tree = stage("4dom", [&] { return find_dominators(graph, reach, objects, threads); });
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    state.SetIterationTime(seconds.count());
    state.counters["edges"] = static_cast<double>(graph.edge_count()) / allocations;
    state.counters["alloc/s"] = allocations / seconds.count();
    state.counters["peak_B"] = static_cast<double>(peak) / allocations;
    state.counters["several"] =
        static_cast<double>(std::count(reach.several_parents.begin(), reach.several_parents.end(), true)) / allocations;
    state.counters["leaked"] =
        static_cast<double>(tree.retained_objects({kUnreachableNode}, reach, graph).front()) / allocations;
  }
}

void register_all() {
  for (HeapShape shape : {HeapShape::lists, HeapShape::double_lists, HeapShape::trees, HeapShape::hash_maps,
                          HeapShape::random, HeapShape::mixed}) {
    for (uint32_t allocations : {3'000'000U, 30'000'000U}) {
      for (bool shuffled : {false, true}) {
        std::string name =
            std::string(to_string(shape)) + (shuffled ? "/shuffled/" : "/local/") + std::to_string(allocations);
        benchmark::RegisterBenchmark(
            name.c_str(),
            [=](benchmark::State& state) { run_chain(state, shape, allocations, shuffled, available_cpus()); })
            ->Iterations(1)
            ->UseManualTime()
            ->Unit(benchmark::kSecond);
      }
    }
  }
}

}  // namespace
}  // namespace heapwalk

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 1 << 16);  // what is freed goes back to the kernel, so that peaks are real
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
  heapwalk::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
