// The command line as a plain struct: the one door to CLI11.
//
//     heapwalk [COMMAND] CORE [BINARY] [OPTIONS]
//
// A command word counts only as the first argument, so that a core file may be named "report": `heapwalk ./report`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dump/base/address.h"
#include "dump/base/result.h"
#include "heapwalk/object_rows.h"
#include "heapwalk/why.h"
#include "report/formats.h"

namespace heapwalk::cli {

enum class When : uint8_t { automatic, always, never };

struct Options {
  std::string command = "report";
  std::string core;
  std::string binary;
  bool force = false;
  std::string format = "text";
  std::string output;  // empty or "-": standard output
  std::string sysroot;
  std::vector<std::string> debug_dirs;
  std::string cache_dir;  // empty: none
  size_t threads = 0;     // 0: as many as there are CPUs
  When color = When::automatic;
  When progress = When::automatic;
  bool quiet = false;
  std::optional<uint64_t> limit;

  std::string pprof_file, json_file;  // report
  ObjectQuery objects;                // objects
  std::string owner;                  // roots
  std::optional<uint64_t> fail_over;  // leaks
  Address address;                    // why, show
  std::string type;                   // why: of a type instead of an object
  WhyOptions why;
  TypeSort type_sort = TypeSort::bytes;  // types
  std::string profile_kind;              // profile: a name of OwnProfileKind, "holders" or "memstats"
};

// What main() shall do instead of a command: print this and exit.
struct Message {
  std::string text;
  int exit_status = 0;  // 0: to standard output; else to standard error
};

std::variant<Options, Message> parse_options(int argc, const char* const* argv);

// "512", "10K", "3.5G": a power of 1024 may follow the number. Nothing when it is none, or too large.
std::optional<uint64_t> parse_bytes(std::string_view text);
// "0x7f…". Nothing without the 0x.
std::optional<Address> parse_address(std::string_view text);

}  // namespace heapwalk::cli
