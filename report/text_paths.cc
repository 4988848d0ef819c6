#include "report/text_paths.h"

#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/escape.h"
#include "report/formats.h"
#include "report/process_facts.h"

namespace heapwalk {
namespace {

constexpr size_t kStepsShown = 8;  // of a path on one line: the first and last halves

std::string crash_text(const CoreDump& dump) {
  const Process& process = dump.process;
  std::string text = process.signal == 0 ? "was dumped while running" : "died of " + signal_name(process.signal);
  if (process.signal != 0 && process.fault_address) text += " at " + format_address(*process.fault_address);
  for (const Thread& thread : dump.threads) {
    if (!thread.crashed || process.signal == 0) continue;
    text += fmt::format(" in thread {}", thread.tid);
    if (!thread.name.empty() && thread.name != process.command) text += fmt::format(" \"{}\"", thread.name);
    break;
  }
  return text;
}

}  // namespace

void print_process_line(const Analysis& analysis, Output& output, const TextStyle& style) {
  const CoreDump& dump = *analysis.dump;
  std::string time = format_utc_time(dump.process.time_seconds);
  if (time.size() == 20) time = time.substr(0, 10) + " " + time.substr(11, 8) + " UTC";
  std::string command = dump.process.command.empty() ? "process" : dump.process.command;
  output.print("{} (pid {}) {}; core of {}, {}\n", style.heading(printable(command)), dump.process.pid,
               style.alarm(printable(crash_text(dump))), bytes_text(dump.file_size_bytes), time);
  if (dump.missing_bytes != 0) {
    output.print("{}\n", style.alarm(fmt::format("The core is cut off: {} are missing from it.",
                                                 bytes_text(dump.missing_bytes))));
  }
}

std::string step_text(const PathStep& step) {
  std::string text = readable_type_name(step.type);
  if (!step.field.empty()) text = step.field + " " + text;
  if (step.repeat > 1) text += " ×" + count_text(step.repeat);
  return text;
}

void print_path_line(Output& output, std::span<const PathStep> path) {
  if (path.size() < 2) return;  // the sentence above has named the root
  std::string line;
  for (size_t i = 0; i < path.size(); ++i) {
    if (i > 0) line += " → ";
    if (path.size() > kStepsShown && i == kStepsShown / 2) {
      i = path.size() - kStepsShown / 2;
      line += "… → ";
    }
    line += step_text(path[i]);
  }
  print_wrapped(output, line, 5, 7);
}

void print_diagnostics(const Diagnostics& diagnostics, uint64_t limit, Output& output, const TextStyle& style) {
  output.print("\n{}", style.heading("Diagnostics"));
  auto all = diagnostics.all();
  if (all.empty()) {
    output.write(": none\n");
    return;
  }
  output.write("\n");
  size_t shown = limit == 0 || limit > all.size() ? all.size() : limit;
  for (const Diagnostic& entry : all.first(shown)) {
    std::string times = entry.count > 1 ? fmt::format(" ({} times)", count_text(entry.count)) : "";
    print_wrapped(output, fmt::format("{}: {}{}", entry.code, entry.text, times), 2, 4);
  }
  if (shown < all.size()) output.print("  … and {} more kinds: --limit 0 shows all\n", all.size() - shown);
}

}  // namespace heapwalk
