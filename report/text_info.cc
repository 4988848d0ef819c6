// `info` for people: what the core is and what was found for it, before any graph is built.
#include "heapwalk/bytes_text.h"
#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"
#include "report/text_paths.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

void print_threads(const CoreDump& dump, uint64_t limit, Output& output, const TextStyle& style) {
  output.print("\n{}: {}\n", style.heading("Threads"), count_text(dump.threads.size()));
  TextTable table({{"tid", Align::right}, {"name"}, {"program counter"}, {"stack", Align::right}, {""}});
  for (const Thread& thread : first_rows(dump.threads, limit)) {
    bool crashed = thread.crashed && dump.process.signal != 0;
    table.add({std::to_string(thread.tid), thread.name, format_address(thread.program_counter),
               bytes_text(thread.stack.size_bytes()), crashed ? "crashed" : ""});
  }
  table.print(output, style);
}

std::string debug_info_text(const Module& module) {
  if (module.file_path.empty()) return "file missing";
  if (!module.debug_file_path.empty()) return "symbols, debug file";
  return module.symbols.empty() ? "no symbols" : "symbols";
}

void print_modules(const CoreDump& dump, uint64_t limit, Output& output, const TextStyle& style) {
  output.print("\n{}: {}\n", style.heading("Modules"), count_text(dump.modules.size()));
  TextTable table({{"address"}, {"build id"}, {"found"}, {"path"}});
  for (const Module& module : first_rows(dump.modules, limit)) {
    table.add({format_address(module.range.begin), module.build_id.empty() ? "-" : clip_text(module.build_id, 20),
               debug_info_text(module), module.path.empty() ? module.name : module.path});
  }
  table.print(output, style);
}

}  // namespace

void write_text_info(const DocumentRequest& request, Output& output) {
  const CoreDump& dump = *request.analysis.dump;
  TextStyle style(request.color);
  uint64_t limit = request.limit.value_or(0);
  print_process_line(request.analysis, output, style);
  if (!dump.process.arguments.empty()) print_wrapped(output, "started as: " + dump.process.arguments, 0, 4);
  output.print("{}, {} mappings\n", dump.process.architecture == Architecture::x86_64 ? "x86-64" : "aarch64",
               dump.mappings.size());

  output.print("\n{}", style.heading("Allocators"));
  output.write(request.analysis.decoders.empty() ? ": none recognised\n" : "\n");
  for (const auto& decoder : request.analysis.decoders) {
    const AllocatorFacts& facts = decoder->facts();
    print_wrapped(output,
                  fmt::format("{}{}{}: {} regions ({})", facts.name, facts.version.empty() ? "" : " ", facts.version,
                              decoder->regions().size(), facts.evidence),
                  2, 4);
  }
  print_threads(dump, limit, output, style);
  print_modules(dump, limit, output, style);
  print_diagnostics(request.analysis.diagnostics, limit, output, style);
}

}  // namespace heapwalk
