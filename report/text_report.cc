// The report for people, made to be read at three in the morning: what died, where the bytes are, what holds them and by
// which path, what leaked, and what the analysis could not see. With the default limits it fits one screen.
//
//     server (pid 1234) died of SIGSEGV …          one line
//     Where the bytes are                          closes to the byte, unexplained always shown
//     What holds them                              suspects, each a sentence and a path
//     Roots / Owners                               by retained bytes
//     Leaks, Diagnostics                           "none" when there are none: silence is not an answer
#include <algorithm>
#include <array>

#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"
#include "report/text_paths.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

struct ReportLimits {  // rows of each list
  uint64_t suspects = 3, roots = 5, owners = 4, leaks = 3, diagnostics = 6, sites = 3;
};

// The memory rows of one kind as one line; the heap in front, since it is what people came for.
struct KindLine {
  std::string_view kind, text;
};
constexpr std::array<KindLine, 5> kKinds = {{{"heap", "heap"},
                                             {"stack", "thread stacks"},
                                             {"module", "variables of modules"},
                                             {"tls", "thread-local variables"},
                                             {"unknown", "unknown mappings"}}};

class MemoryTable {
 public:
  explicit MemoryTable(const Summary& summary)
      : summary_(summary),
        table_({{"", Align::left}, {"bytes", Align::right}, {"share", Align::right}, {"objects", Align::right}}) {
    for (const MemoryRow& row : summary.memory) total_ += row.bytes;
  }

  void print(Output& output, const TextStyle& style) {
    uint64_t listed = 0;
    for (const KindLine& line : kKinds) listed += add_kind(line);
    if (listed != total_) add("other", total_ - listed);
    add("writable memory of the process", total_);
    table_.print(output, style);
  }

 private:
  uint64_t add_kind(const KindLine& line) {
    uint64_t bytes = 0, rows = 0;
    for (const MemoryRow& row : summary_.memory) {
      if (row.kind != line.kind) continue;
      bytes += row.bytes;
      ++rows;
    }
    bool is_heap = line.kind == "heap";
    if (rows == 0 && !is_heap) return 0;
    add(is_heap ? std::string(line.text) + allocator_names() : fmt::format("{} ({})", line.text, rows), bytes);
    if (is_heap) add_heap_states();
    return bytes;
  }

  void add_heap_states() {
    const Totals& t = summary_.totals;
    add("  used, held by one root", t.reachable_bytes - t.shared_bytes, t.reachable_objects - t.shared_objects);
    add("  used, shared by several roots", t.shared_bytes, t.shared_objects);
    if (t.conservative_objects != 0 && t.conservative_objects != t.reachable_objects - t.possibly_live_objects) {
      add("    of both, by words of no pointer type only", t.conservative_bytes, t.conservative_objects);
    }
    if (t.possibly_live_objects != 0) {
      add("    of both, possibly live (stale words only)", t.possibly_live_bytes, t.possibly_live_objects);
    }
    if (t.garbage_objects != 0) add("  used, garbage not collected yet", t.garbage_bytes, t.garbage_objects);
    if (t.garbage_objects == 0 || t.leaked_objects != t.garbage_objects)
      add("  used, leaked", t.leaked_bytes - t.garbage_bytes, t.leaked_objects - t.garbage_objects);
    add("  freed, in caches", t.cached_bytes, t.cached_objects);
    add("  free", t.free_bytes);
    add("  allocator's own", t.metadata_bytes);
    add("  unexplained", t.unexplained_bytes);
  }

  std::string allocator_names() const {
    std::string names;
    for (const AllocatorRow& row : summary_.allocators) {
      names +=
          fmt::format("{}{}{}{}", names.empty() ? " of " : ", ", row.name, row.version.empty() ? "" : " ", row.version);
    }
    return names;
  }

  void add(std::string name, uint64_t bytes) {
    table_.add({std::move(name), bytes_text(bytes), share_text(bytes, total_), ""});
  }
  void add(std::string name, uint64_t bytes, uint64_t objects) {
    table_.add({std::move(name), bytes_text(bytes), share_text(bytes, total_), count_text(objects)});
  }

  const Summary& summary_;
  TextTable table_;
  uint64_t total_ = 0;
};

void print_suspects(const Analysis& analysis, uint64_t limit, Output& output, const TextStyle& style) {
  output.print("\n{}\n", style.heading("What holds it"));
  const Summary& summary = analysis.summary;
  if (summary.suspects.empty()) output.write("  No single holder stands out.\n");
  size_t number = 0;
  for (const SuspectRow& suspect : first_rows(summary.suspects, limit)) {
    print_wrapped(output, fmt::format("{}. {}", ++number, suspect.text), 2, 5);
    print_path_line(output, suspect.path);
  }
}

void print_roots(const Summary& summary, uint64_t limit, Output& output, const TextStyle& style) {
  output.print("\n{}{}\n", style.heading("Top roots"),
               style.faint(fmt::format(" (of {} that hold anything)", count_text(summary.roots.size()))));
  if (summary.roots.empty()) output.write("  none\n");
  TextTable table({{"", Align::right}, {"", Align::right}, {"", Align::right}, {""}, {"", Align::left, 56}, {""}});
  for (const RootRow& root : first_rows(summary.roots, limit)) {
    table.add({bytes_text(root.retained_bytes), share_text(root.retained_bytes, summary.totals.used_bytes),
               count_text(root.retained_objects), root.kind, root.name, root.owner});
  }
  table.print(output, style);
}

void print_owners(const Summary& summary, uint64_t limit, Output& output, const TextStyle& style) {
  output.print("\n{}\n", style.heading("Top owners"));
  if (summary.owners.empty()) output.write("  none\n");
  TextTable table({{"", Align::right}, {"", Align::right}, {"", Align::right}, {""}, {""}});
  for (const OwnerRow& owner : first_rows(summary.owners, limit)) {
    table.add({bytes_text(owner.retained_bytes), share_text(owner.retained_bytes, summary.totals.used_bytes),
               count_text(owner.retained_objects), owner.kind, owner.name});
  }
  table.print(output, style);
}

void print_leaks(const Summary& summary, uint64_t limit, Output& output, const TextStyle& style) {
  const Totals& totals = summary.totals;
  output.print("\n{}", style.heading("Leaks"));
  if (totals.leaked_objects == 0) {
    output.write(": none\n");
    return;
  }
  const uint64_t leaked = totals.leaked_objects - totals.garbage_objects;
  if (leaked != 0)
    output.print(": {} in {} allocations that no root reaches", bytes_text(totals.leaked_bytes - totals.garbage_bytes),
                 count_text(leaked));
  if (totals.garbage_objects != 0)
    output.print("{} {} in {} allocations, garbage that the collector has not freed yet", leaked == 0 ? ": none;" : ";",
                 bytes_text(totals.garbage_bytes), count_text(totals.garbage_objects));
  output.write("\n");
  TextTable table({{"", Align::right}, {"", Align::right}, {""}});
  for (const LeakRow& leak : first_rows(summary.leaks, limit)) {
    table.add({bytes_text(leak.bytes), count_text(leak.objects),
               fmt::format("{}{} × {}, for example {}", leak.is_garbage ? "garbage: " : "", count_text(leak.roots),
                           readable_type_name(leak.type), format_address(leak.example))});
  }
  table.print(output, style);
}

void print_stuck(const Summary& summary, uint64_t limit, Output& output, const TextStyle& style) {
  if (summary.stuck.empty()) return;
  output.print("\n{}\n", style.heading("Goroutines that nothing can wake"));
  TextTable table({{"", Align::right}, {"", Align::right}, {""}, {""}});
  for (const StuckRow& row : first_rows(summary.stuck, limit))
    table.add(
        {bytes_text(row.retained_bytes), count_text(row.count), "[" + row.state + "]", readable_type_name(row.name)});
  table.print(output, style);
}

// What was sampled when it was allocated: the other end of the question, where it comes from.
void print_sites(const Summary& summary, uint64_t limit, Output& output, const TextStyle& style) {
  if (summary.sites.empty()) return;
  uint64_t samples = 0;
  for (const SiteRow& row : summary.sites) samples += row.samples;
  output.print("\n{}{}\n", style.heading("Allocated at, held by"),
               style.faint(fmt::format(" (estimates from {} sampled allocations)", count_text(samples))));
  TextTable table({{"", Align::right}, {"", Align::right}, {"", Align::left, 48}, {"", Align::left, 48}});
  for (const SiteRow& row : first_rows(summary.sites, limit))
    table.add({bytes_text(row.estimated_bytes), count_text(row.estimated_objects), readable_type_name(row.site()),
               readable_type_name(row.holder)});
  table.print(output, style);
}

}  // namespace

void write_text_report(const DocumentRequest& request, Output& output) {
  const Analysis& analysis = request.analysis;
  TextStyle style(request.color);
  ReportLimits limits;
  if (!analysis.summary.sites.empty()) limits.roots = limits.owners = 3;  // the screen is as high as before
  if (request.limit)
    limits = {*request.limit, *request.limit, *request.limit, *request.limit, *request.limit, *request.limit};
  print_process_line(analysis, output, style);
  output.print("\n{}\n", style.heading("Where the bytes are"));
  MemoryTable(analysis.summary).print(output, style);
  print_suspects(analysis, limits.suspects, output, style);
  print_roots(analysis.summary, limits.roots, output, style);
  print_owners(analysis.summary, limits.owners, output, style);
  print_sites(analysis.summary, limits.sites, output, style);
  print_stuck(analysis.summary, limits.leaks, output, style);
  print_leaks(analysis.summary, limits.leaks, output, style);
  print_diagnostics(analysis.diagnostics, limits.diagnostics, output, style);
}

}  // namespace heapwalk
