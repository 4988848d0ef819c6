#include "heapwalk/cli/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "report/escape.h"

namespace heapwalk::cli {
namespace {

struct CommandWord {
  std::string_view name;
  std::string_view purpose;
  bool is_built;
};

constexpr CommandWord kCommands[] = {
    {"report", "what holds the memory: accounting, suspects, top roots, leaks (the default)", true},
    {"why", "paths from roots to an object, or to all objects of a type", true},
    {"objects", "one row per allocation", true},
    {"types", "histogram by type: objects, bytes, retained bytes", true},
    {"show", "one object: its fields, who refers to it, what it refers to", true},
    {"roots", "roots and their owners by retained bytes", true},
    {"leaks", "what no root reaches, grouped by the type of the leak's root", true},
    {"info", "process, signal, threads, modules, allocators, debug info found and missing", true},
    {"diff", "growth between two cores", false},
    {"profile", "the profiles that the program's own run-time kept: heap, goroutine, block, …", true},
    {"export", "the graph for other tools", false},
};

Message usage_error(std::string_view what) {
  std::string text(what.substr(0, what.find('\n')));
  return {fmt::format("heapwalk: {} (heapwalk --help tells more)\n", printable(text)), 2};
}

std::string commands_text() {
  std::string text = "COMMAND is the first argument, or left out:\n";
  for (const CommandWord& command : kCommands) {
    if (command.is_built) text += fmt::format("  {:<10} {}\n", command.name, command.purpose);
  }
  text += "`heapwalk COMMAND --help` lists a command's own options.\n\n";
  text += "Sizes are given as 512, 10K or 3.5G, and printed as pprof prints them: 1 kB is 1024 bytes.\n";
  text += "Exit status: 0 done; 1 the analysis could not be done; 2 wrong usage; 3 a threshold was exceeded.\n";
  return text;
}

class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string command) : command_(std::move(command)) {}
  std::string make_usage(const CLI::App*, std::string) const override {
    return fmt::format("Usage: heapwalk {} CORE [BINARY] [OPTIONS]\n", command_);
  }

 private:
  std::string command_;
};

// Text of options that CLI11 hands over as it stands; converted after parsing, so that messages are ours.
struct RawOptions {
  std::string color = "auto", progress = "auto";
  std::string states = "used", reachable, sort = "address";
  std::string type_sort = "bytes";
  std::optional<std::string> limit, min_size, address, fail_over;
  bool no_cache = false;
  std::vector<std::string> unbuilt;  // values of options that this version does not have yet
};

void add_common_options(CLI::App& app, Options& options, RawOptions& raw) {
  app.add_option("CORE", options.core, "core file; .zst, .lz4, .gz and .xz are read as they are");
  app.add_option("BINARY", options.binary, "the program; found through the core when left out");
  app.add_flag("--force", options.force, "accept a BINARY whose build id is not the core's");
  app.add_option("--format", options.format, "text, json or tsv")->check(CLI::IsMember({"text", "json", "tsv"}));
  app.add_option("-o,--output", options.output, "file to write, whole or not at all (default: standard output)");
  app.add_option("--sysroot", options.sysroot, "directory that the paths inside the core are looked up below");
  app.add_option("--debug-dir", options.debug_dirs, "directory of separate debug files; may be repeated")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  app.add_option("--cache-dir", options.cache_dir,
                 "directory for what large debug info says (default: in the user's cache)");
  app.add_flag("--no-cache", raw.no_cache, "read all debug info anew, keep nothing");
  app.add_option("--threads", options.threads, "threads to work with (default: one per CPU)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--color", raw.color, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_option("--progress", raw.progress, "auto, always or never; to standard error")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("-q,--quiet", options.quiet, "nothing on standard error but errors");
  app.add_option("--limit", raw.limit, "rows per list; 0: all");
}

void add_unbuilt(CLI::App& app, RawOptions& raw, const std::string& name) {
  app.add_option(name, raw.unbuilt, "")->group("")->expected(1)->allow_extra_args(false);
}

void add_own_options(CLI::App& app, Options& options, RawOptions& raw) {
  const std::string& command = options.command;
  if (command == "report") {
    app.add_option("--pprof", options.pprof_file, "also write a pprof profile to this file");
    app.add_option("--json", options.json_file, "also write the report as JSON to this file");
    add_unbuilt(app, raw, "--html");
  } else if (command == "objects") {
    app.add_option("--state", raw.states, "used, free, cached, metadata, top (comma-separated), or all; default: used");
    app.add_option("--type", options.objects.type, "only objects of exactly this type");
    app.add_option("--reachable", raw.reachable, "yes or no")->check(CLI::IsMember({"yes", "no"}));
    app.add_option("--min-size", raw.min_size, "only allocations of at least this many bytes");
    app.add_option("--sort", raw.sort, "address, size or retained")
        ->check(CLI::IsMember({"address", "size", "retained"}));
  } else if (command == "roots") {
    app.add_option("--owner", options.owner, "only roots whose owner's name contains this");
  } else if (command == "leaks") {
    app.add_option("--fail-over", raw.fail_over, "exit with status 3 when more bytes than this are leaked");
  } else if (command == "why") {
    app.add_option("--address", raw.address, "the object's address, or one inside it: 0x…");
    app.add_option("--paths", options.why.paths, "paths at most, each from another root (default: 3)")
        ->check(CLI::Range(1, 10'000));
    app.add_option("--avoid", options.why.avoid, "no path through objects of this type or a root of this name");
    app.add_option("--type", options.type, "all objects of exactly this type, instead of one");
  } else if (command == "show") {
    app.add_option("--address", raw.address, "the object's address, or one inside it: 0x…");
  } else if (command == "profile") {
    app.add_option(
           "--kind", options.profile_kind,
           "heap, allocs, goroutine, threadcreate, block or mutex: a pprof file; holders: the same of what is on the "
           "heap, by where it was allocated and what holds it; memstats: text or json")
        ->required()
        ->check(
            CLI::IsMember({"heap", "allocs", "goroutine", "threadcreate", "block", "mutex", "holders", "memstats"}));
  } else if (command == "types") {
    app.add_option("--sort", raw.type_sort, "bytes, count or retained")
        ->check(CLI::IsMember({"bytes", "count", "retained"}));
  }
}

// Of the user: $HEAPWALK_CACHE_DIR, or where the XDG Base Directory Specification says.
std::string default_cache_dir() {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (std::string own = variable("HEAPWALK_CACHE_DIR"); !own.empty()) return own;
  if (std::string cache = variable("XDG_CACHE_HOME"); cache.starts_with('/')) return cache + "/heapwalk";
  const std::string home = variable("HOME");
  return home.starts_with('/') ? home + "/.cache/heapwalk" : "";
}

When parse_when(std::string_view text) {
  return text == "always" ? When::always : text == "never" ? When::never : When::automatic;
}

std::string wanted_bytes(std::string_view option, std::string_view found) {
  return fmt::format("{}: wanted bytes as 512, 10K or 3.5G, found '{}'", option, found);
}

// Nothing, or what is wrong.
std::optional<Message> convert_objects(const RawOptions& raw, ObjectQuery& query) {
  query.states.fill(raw.states == "all");
  for (std::string_view rest = raw.states; raw.states != "all";) {
    size_t comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    auto state = parse_allocation_state(name);
    if (!state) {
      return usage_error(fmt::format("--state: wanted used, free, cached, metadata, top or all, found '{}'", name));
    }
    query.states[static_cast<size_t>(*state)] = true;
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
  }
  if (!raw.reachable.empty()) query.reachable = raw.reachable == "yes";
  query.sort = raw.sort == "size"       ? ObjectQuery::Sort::size
               : raw.sort == "retained" ? ObjectQuery::Sort::retained
                                        : ObjectQuery::Sort::address;
  if (!raw.min_size) return std::nullopt;
  auto bytes = parse_bytes(*raw.min_size);
  if (!bytes) return usage_error(wanted_bytes("--min-size", *raw.min_size));
  query.min_size_bytes = *bytes;
  return std::nullopt;
}

// What `why` and `show` are asked about.
std::optional<Message> convert_target(const RawOptions& raw, Options& options) {
  const bool is_why = options.command == "why";
  if (!is_why && options.command != "show") return std::nullopt;
  if (is_why && raw.address.has_value() != options.type.empty())
    return usage_error("why: wanted --address 0x… or --type NAME, and not both");
  if (!raw.address) return is_why ? std::nullopt : std::optional(usage_error("show: wanted --address 0x…"));
  auto address = parse_address(*raw.address);
  if (!address) return usage_error(fmt::format("--address: wanted 0x and hex digits, found '{}'", *raw.address));
  options.address = *address;
  return std::nullopt;
}

// A pprof file has one format, and statistics have no rows for tables.
std::optional<Message> check_profile_format(const Options& options) {
  if (options.command != "profile" || options.format == "text") return std::nullopt;
  if (options.profile_kind == "memstats" && options.format == "json") return std::nullopt;
  return usage_error(fmt::format("profile --kind {}: --format {} is not among its formats ({})", options.profile_kind,
                                 options.format, options.profile_kind == "memstats" ? "text, json" : "a pprof file"));
}

std::optional<Message> convert(const RawOptions& raw, Options& options) {
  options.color = parse_when(raw.color);
  options.progress = parse_when(raw.progress);
  if (raw.no_cache && !options.cache_dir.empty()) return usage_error("wanted --no-cache or --cache-dir, not both");
  if (!raw.no_cache && options.cache_dir.empty()) options.cache_dir = default_cache_dir();
  if (options.core.empty()) return usage_error("wanted a core file: heapwalk [COMMAND] CORE [BINARY] [OPTIONS]");
  if (auto wrong = convert_objects(raw, options.objects)) return wrong;
  if (raw.limit) {
    uint64_t limit = 0;
    const char* end = raw.limit->data() + raw.limit->size();
    auto [rest, error] = std::from_chars(raw.limit->data(), end, limit);
    if (error != std::errc{} || rest != end) {
      return usage_error(fmt::format("--limit: wanted a number of rows, found '{}'", *raw.limit));
    }
    options.limit = options.objects.limit = limit;
  }
  if (raw.fail_over) {
    options.fail_over = parse_bytes(*raw.fail_over);
    if (!options.fail_over) return usage_error(wanted_bytes("--fail-over", *raw.fail_over));
  }
  if (auto wrong = convert_target(raw, options)) return wrong;
  if (auto wrong = check_profile_format(options)) return wrong;
  options.type_sort = raw.type_sort == "count"      ? TypeSort::count
                      : raw.type_sort == "retained" ? TypeSort::retained
                                                    : TypeSort::bytes;
  auto is_stdout = [](const std::string& file) { return file == "-"; };
  int to_stdout = is_stdout(options.pprof_file) + is_stdout(options.json_file);
  if (to_stdout > 1) return usage_error("only one of --pprof and --json can go to standard output");
  return std::nullopt;
}

// Options of the contract that are not in this version, by the command they belong to.
std::optional<Message> refuse_unbuilt(const CLI::App& app, const Options& options) {
  for (const char* name : {"--html"}) {
    const CLI::Option* option = app.get_option_no_throw(name);
    if (option != nullptr && option->count() > 0) {
      return usage_error(fmt::format("{} {} is not in this version", options.command, name));
    }
  }
  return std::nullopt;
}

}  // namespace

std::variant<Options, Message> parse_options(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (std::ranges::find(arguments, "--version") != arguments.end()) {
    return Message{fmt::format("heapwalk {}\n", HEAPWALK_VERSION), 0};
  }
  Options options;
  bool named = false;
  for (const CommandWord& command : kCommands) {
    if (arguments.empty() || arguments.front() != command.name) continue;
    if (!command.is_built) return usage_error(fmt::format("the command {} is not in this version", command.name));
    options.command = command.name;
    arguments.erase(arguments.begin());
    named = true;
    break;
  }
  try {
    CLI::App app(named ? "" : "What holds the memory of a process, from its core file.");
    app.name(named ? "heapwalk " + options.command : "heapwalk");
    app.formatter(std::make_shared<HelpFormatter>(named ? options.command : "[COMMAND]"));
    app.add_flag_function("--version", [](int64_t) {}, "print the version");
    RawOptions raw;
    add_common_options(app, options, raw);
    add_own_options(app, options, raw);
    if (!named) app.footer(commands_text());
    try {
      std::ranges::reverse(arguments);  // CLI11 takes them from the back
      app.parse(std::move(arguments));
    } catch (const CLI::CallForHelp&) {
      return Message{app.help(), 0};
    } catch (const CLI::ParseError& error) {
      return usage_error(error.what());
    }
    if (auto message = refuse_unbuilt(app, options)) return *message;
    if (auto message = convert(raw, options)) return *message;
  } catch (const CLI::Error& error) {
    return usage_error(error.what());
  }
  return options;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): from_chars gets both ends
  auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{} || !(number >= 0) || !std::isfinite(number)) return std::nullopt;
  std::string_view unit(rest, static_cast<size_t>(end - rest));
  if (unit.ends_with("iB")) {
    unit.remove_suffix(2);
  } else if (unit.size() == 2 && (unit.ends_with('B') || unit.ends_with('b'))) {
    unit.remove_suffix(1);
  }
  if (unit.size() > 1) return std::nullopt;
  int power = 0;
  if (unit.size() == 1 && unit != "B") {
    constexpr std::string_view kPowers = "KMGTkmgt";
    size_t at = kPowers.find(unit);
    if (at == std::string_view::npos) return std::nullopt;
    power = static_cast<int>(at % 4) + 1;
  }
  double bytes = std::ldexp(number, 10 * power);
  if (bytes >= 18'446'744'073'709'551'616.0) return std::nullopt;
  if (power == 0 && bytes != std::floor(bytes)) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

std::optional<Address> parse_address(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) return std::nullopt;
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data() + 2, end, value, 16);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return Address{value};
}

}  // namespace heapwalk::cli
