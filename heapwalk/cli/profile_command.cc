#include "heapwalk/cli/profile_command.h"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

#include "heapwalk/cli/output_file.h"
#include "heapwalk/cli/profile_time.h"
#include "heapwalk/holder_profile.h"
#include "report/escape.h"
#include "report/own_profile.h"
#include "report/own_statistics.h"

namespace heapwalk::cli {
namespace {

constexpr std::string_view kStatistics = "memstats", kHolders = "holders";

Result<void> write_profile(const Options& options, const CoreDump& dump, const OwnProfile& profile,
                           const Diagnostics& diagnostics) {
  const std::string bytes = make_own_profile(profile, dump, profile_time(dump), diagnostics);
  for (const Diagnostic& entry : diagnostics.all())
    if (!options.quiet) std::fputs(fmt::format("heapwalk: note: {}\n", printable(entry.text)).c_str(), stderr);
  return write_output(options.output, [&](Output& output) { output.write(bytes); });
}

Result<void> write_statistics(const Options& options, const CoreDump& dump, bool color) {
  Diagnostics diagnostics = dump.diagnostics;
  const auto statistics = read_own_statistics(dump, diagnostics);
  if (!statistics) return std::unexpected(statistics.error());
  return write_output(options.output, [&](Output& output) {
    if (options.format == "json")
      write_json_statistics(*statistics, diagnostics, output);
    else
      write_text_statistics(*statistics, diagnostics, color, output);
  });
}

}  // namespace

std::optional<Error> check_profile_output(const Options& options) {
  const bool to_stdout = options.output.empty() || options.output == "-";
  if (options.profile_kind == kStatistics || !to_stdout || isatty(STDOUT_FILENO) == 0) return std::nullopt;
  return Error{"a profile is a binary file, for `go tool pprof`: wanted -o FILE, or standard output redirected"};
}

bool is_profile_of_holders(const Options& options) {
  return options.command == "profile" && options.profile_kind == kHolders;
}

Result<void> write_holder_profile(const Options& options, const Analysis& analysis) {
  Diagnostics diagnostics = analysis.diagnostics;  // what the analysis did not see may be a holder
  Diagnostics again;                               // said in the summary already
  const auto profile = make_holder_profile(analysis, again);
  if (!profile) return std::unexpected(profile.error());
  return write_profile(options, *analysis.dump, *profile, diagnostics);
}

Result<void> write_own_profile(const Options& options, const CoreOptions& core, bool color) {
  const auto dump = open_core_dump(options.core, core);
  if (!dump) return std::unexpected(dump.error());
  if (options.profile_kind == kStatistics) return write_statistics(options, *dump, color);
  Diagnostics diagnostics;  // of the profile: what the core lacks elsewhere is nothing to it
  const auto kind = parse_own_profile_kind(options.profile_kind);
  const auto profile = read_own_profile(*dump, kind.value_or(OwnProfileKind::heap), diagnostics);
  if (!profile) return std::unexpected(profile.error());
  return write_profile(options, *dump, *profile, diagnostics);
}

}  // namespace heapwalk::cli
