// heapwalk: composition only. Options in, one analysis, its documents out.
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include <fmt/format.h>

#include "dump/base/parallel.h"
#include "heapwalk/analysis.h"
#include "heapwalk/cli/options.h"
#include "heapwalk/cli/output_file.h"
#include "heapwalk/cli/profile_command.h"
#include "heapwalk/cli/profile_time.h"
#include "heapwalk/cli/progress.h"
#include "report/escape.h"
#include "report/formats.h"
#include "report/pprof.h"

namespace heapwalk::cli {
namespace {

constexpr int kDone = 0, kNotDone = 1, kWrongUsage = 2, kOverThreshold = 3;

int report_error(const Error& error, int status = kNotDone) {
  std::fputs(fmt::format("heapwalk: {}\n", printable(error.message)).c_str(), stderr);
  return status;
}

// NO_COLOR: https://no-color.org
bool wants_color(const Options& options) {
  if (options.color != When::automatic) return options.color == When::always;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  bool to_stdout = options.output.empty() || options.output == "-";
  return to_stdout && isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

bool wants_progress(const Options& options) {
  if (options.quiet || options.progress == When::never) return false;
  return options.progress == When::always || isatty(STDERR_FILENO) != 0;
}

// No output may be the core or the program itself, nor two outputs one file.
std::optional<Error> check_outputs(const Options& options) {
  const std::string* outputs[] = {&options.output, &options.pprof_file, &options.json_file};
  for (const std::string* output : outputs) {
    if (output->empty() || *output == "-") continue;
    for (const std::string* input : {&options.core, &options.binary}) {
      if (is_same_file(*output, *input))
        return Error{fmt::format("{}: it would be overwritten with the output", *input)};
    }
    for (const std::string* other : outputs) {
      if (other != output && *other == *output) return Error{fmt::format("{}: named for two outputs", *output)};
    }
  }
  return std::nullopt;
}

// `info` needs no graph: it answers in the time that it takes to open the core.
Result<Analysis> open_only(const Options& options, const CoreOptions& core) {
  Result<CoreDump> dump = open_core_dump(options.core, core);
  if (!dump) return std::unexpected(dump.error());
  Analysis analysis;
  analysis.dump = std::make_unique<const CoreDump>(*std::move(dump));
  analysis.diagnostics.merge(analysis.dump->diagnostics);
  find_allocators(analysis);
  return analysis;
}

size_t thread_count(const Options& options) {
  return options.threads == 0 ? available_cpus() : options.threads;
}

CoreOptions core_options(const Options& options) {
  CoreOptions core;
  core.binary = options.binary;
  core.sysroot = options.sysroot;
  core.debug_dirs = options.debug_dirs;
  core.cache_dir = options.cache_dir;
  core.force = options.force;
  core.threads = thread_count(options);
  return core;
}

Result<Analysis> analyze_for(const Options& options, Progress& progress) {
  AnalysisOptions wanted;
  wanted.core = core_options(options);
  wanted.threads = wanted.core.threads;
  wanted.on_stage = [&](std::string_view stage) { progress.start_stage(stage); };
  return options.command == "info" ? open_only(options, wanted.core) : analyze(options.core, wanted);
}

ProfileFacts facts_for_profile(const CoreDump& dump) {
  ProfileFacts facts = profile_facts(dump);
  facts.time_seconds = profile_time(dump);
  return facts;
}

// The answers of commands that ask about one thing.
struct Answers {
  std::optional<WhyAnswer> why;
  std::optional<WhyTypeAnswer> why_type;
  std::optional<ShowAnswer> show;
};

template <class T>
Result<void> keep(Result<T> found, std::optional<T>& answer) {
  if (!found) return std::unexpected(found.error());
  answer = *std::move(found);
  return {};
}

Result<void> find_answers(const Options& options, const Analysis& analysis, Progress& progress, Answers& answers) {
  constexpr uint64_t kNeighbours = 20;
  if (options.command != "why" && options.command != "show") return {};
  progress.start_stage("paths");
  if (options.command == "show")
    return keep(show_object(analysis, options.address, options.limit.value_or(kNeighbours)), answers.show);
  if (options.type.empty()) return keep(explain_object(analysis, options.address, options.why), answers.why);
  answers.why_type = explain_type(analysis, options.type, options.why);
  return {};
}

template <class T>
const T* pointer_to(const std::optional<T>& answer) {
  return answer ? &*answer : nullptr;
}

// All documents that were asked for. Extra files first: when one of them fails, nothing was printed yet.
Result<void> write_documents(const Options& options, const Analysis& analysis, const Answers& answers,
                             Progress& progress) {
  DocumentRequest request{.analysis = analysis,
                          .limit = options.limit,
                          .color = wants_color(options),
                          .owner = options.owner,
                          .objects = options.objects,
                          .why = pointer_to(answers.why),
                          .why_type = pointer_to(answers.why_type),
                          .show = pointer_to(answers.show),
                          .type_sort = options.type_sort};
  const std::string_view document = answers.why_type ? "why_type" : std::string_view(options.command);
  if (!options.pprof_file.empty()) {
    progress.start_stage("profile");
    std::string bytes =
        make_profile(FoldedStacks(analysis, thread_count(options)), facts_for_profile(*analysis.dump), {});
    auto written = write_output(options.pprof_file, [&](Output& output) { output.write(bytes); });
    if (!written) return written;
  }
  if (!options.json_file.empty()) {
    auto written =
        write_output(options.json_file, [&](Output& output) { find_document("report", "json")(request, output); });
    if (!written) return written;
  }
  progress.finish();
  bool stdout_is_taken = options.output.empty() && (options.pprof_file == "-" || options.json_file == "-");
  if (stdout_is_taken) return {};
  return write_output(options.output,
                      [&](Output& output) { find_document(document, options.format)(request, output); });
}

int run(const Options& options) {
  if (auto wrong = check_outputs(options)) return report_error(*wrong, kWrongUsage);
  for (const std::string* output : {&options.output, &options.pprof_file, &options.json_file}) {
    if (output->empty()) continue;
    if (auto possible = check_output(*output); !possible) return report_error(possible.error());
  }
  if (options.command == "profile") {
    if (auto wrong = check_profile_output(options)) return report_error(*wrong, kWrongUsage);
  }
  if (options.command == "profile" && !is_profile_of_holders(options)) {
    auto written = write_own_profile(options, core_options(options), wants_color(options));
    return written ? kDone : report_error(written.error());
  }
  Progress progress(wants_progress(options), isatty(STDERR_FILENO) != 0);
  Result<Analysis> analysis = analyze_for(options, progress);
  if (!analysis) {
    progress.finish();
    return report_error(analysis.error());
  }
  if (is_profile_of_holders(options)) {
    progress.finish();
    auto written = write_holder_profile(options, *analysis);
    return written ? kDone : report_error(written.error());
  }
  Answers answers;
  if (auto found = find_answers(options, *analysis, progress, answers); !found) {
    progress.finish();
    return report_error(found.error());
  }
  if (auto written = write_documents(options, *analysis, answers, progress); !written) {
    progress.finish();
    return report_error(written.error());
  }
  const Totals& totals = analysis->summary.totals;
  bool is_over = options.fail_over && totals.leaked_bytes - totals.garbage_bytes > *options.fail_over;
  return is_over ? kOverThreshold : kDone;
}

}  // namespace
}  // namespace heapwalk::cli

int main(int argc, char** argv) {
  using namespace heapwalk::cli;
  // Large tables come and go, one stage after the other. Left alone, malloc would raise its mmap threshold with the first of them and
  // then keep the freed ones resident: a tenth of the peak.
  mallopt(M_MMAP_THRESHOLD, 1 << 16);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an errno of write(), handled where it happens
  auto parsed = parse_options(argc, argv);
  if (const Message* message = std::get_if<Message>(&parsed)) {
    std::fputs(message->text.c_str(), message->exit_status == 0 ? stdout : stderr);
    return message->exit_status;
  }
  try {
    return run(std::get<Options>(parsed));
  } catch (const std::bad_alloc&) {
    std::fputs("heapwalk: not enough memory for this core\n", stderr);
    return kNotDone;
  } catch (const std::exception& error) {
    return report_error(heapwalk::Error{error.what()});
  }
}
