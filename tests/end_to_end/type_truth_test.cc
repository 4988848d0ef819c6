// Types against the truth: programs that know the type of each of their blocks dump core, and heapwalk must find the same types,
// whatever language, compiler, optimisation and form of debug info the program was built with.
//
//     typed_heap.cc ─ compiler, flags ─► program ─► truth.tsv, core ─► heapwalk objects ─► compared by address
//
// Two spellings of one type are the same type: normalised() knows what differs between typeid and debug info. An array is
// as good as its element ("T[]" is found where the truth says T), since a vector of one cannot be told from a single object.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

constexpr double kLeastTypedShare = 0.95;   // of the live bytes: they have a type
constexpr double kLeastRightShare = 0.995;  // of the typed bytes: it is the true one
constexpr double kLeastShareOfAType = 0.7;  // of the bytes of each type: who loses a container loses nearly all of one
constexpr uint64_t kLeastBytesOfAType = 1024;
// A union and a `void*` lead there, and nothing else; a vtable whose functions were all merged with others or inlined.
constexpr std::array<std::string_view, 3> kHardTypes = {"shop::Blob", "shop::Record",
                                                        "alloc::rc::RcInner<typed_heap_rs::Square>"};
// libc++'s deques keep what was popped in their blocks until it is overwritten; these are in what was popped, and cost two
// nodes of a hash table their type.
constexpr std::array<std::string_view, 2> kPoppedTypes = {
    "std::vector<int,std::allocator<int>>",
    "std::vector<std::vector<int,std::allocator<int>>,std::allocator<std::vector<int,std::allocator<int>>>>"};
constexpr size_t kShownMistakes = 12;

// How a program is built, and what is done to it afterwards.
struct Variant {
  const char* name;
  const char* source;    // in testdata/programs
  const char* compiler;  // "g++", "clang++": a version may follow on this machine
  std::vector<std::string> flags;
  bool separate_debug_info = false;  // objcopy --only-keep-debug, then strip
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.source << " by " << variant.compiler;
}

std::vector<Variant> variants() {
  return {
      {"gcc_O0", "typed_heap.cc", "g++", {"-g", "-O0"}},
      {"gcc_O2", "typed_heap.cc", "g++", {"-g", "-O2"}},
      {"gcc_O2_dwarf4", "typed_heap.cc", "g++", {"-gdwarf-4", "-O2"}},
      {"gcc_compressed", "typed_heap.cc", "g++", {"-g", "-O2", "-gz"}},
      {"gcc_split", "typed_heap.cc", "g++", {"-g", "-O2", "-gsplit-dwarf"}},
      {"gcc_separate", "typed_heap.cc", "g++", {"-g", "-O2"}, true},
      {"clang_O0", "typed_heap.cc", "clang++", {"-g", "-O0"}},
      {"clang_O2", "typed_heap.cc", "clang++", {"-g", "-O2"}},
      {"clang_split", "typed_heap.cc", "clang++", {"-g", "-O2", "-gsplit-dwarf"}},
      {"clang_libcxx", "typed_heap.cc", "clang++", {"-g", "-O2", "-stdlib=libc++"}},
      {"libraries_gcc_O0", "typed_heap_libraries.cc", "g++", {"-g", "-O0"}},
      {"libraries_gcc_O2", "typed_heap_libraries.cc", "g++", {"-g", "-O2"}},
      {"libraries_clang_O0", "typed_heap_libraries.cc", "clang++", {"-g", "-O0"}},
      {"libraries_clang_O2", "typed_heap_libraries.cc", "clang++", {"-g", "-O2"}},
      {"c_gcc_O0", "typed_heap_c.c", "gcc", {"-g", "-O0"}},
      {"c_gcc_O2", "typed_heap_c.c", "gcc", {"-g", "-O2"}},
      {"c_clang_O2", "typed_heap_c.c", "clang", {"-g", "-O2"}},
      {"rust_O0", "typed_heap_rs.rs", "rustc", {"-g", "--edition=2021"}},
      {"rust_O2", "typed_heap_rs.rs", "rustc", {"-g", "--edition=2021", "-Copt-level=2"}},
  };
}

bool is_cxx(const Variant& variant) {
  return std::string_view(variant.source).ends_with(".cc");
}

// Containers of abseil and boost.
bool uses_libraries(const Variant& variant) {
  return std::string_view(variant.source).find("libraries") != std::string_view::npos;
}

// What links abseil; empty: it is not here.
std::vector<std::string> abseil_flags() {
  const CommandResult flags =
      run_command({"pkg-config", "--libs", "absl_flat_hash_map", "absl_flat_hash_set", "absl_node_hash_map",
                   "absl_node_hash_set", "absl_btree", "absl_inlined_vector", "absl_fixed_array"});
  std::vector<std::string> words = {"-Wl,--as-needed"};
  std::istringstream text(flags.output);
  for (std::string word; flags.status == 0 && text >> word;) words.push_back(word);
  return words.size() == 1 ? std::vector<std::string>() : words;
}

bool is_rust(const Variant& variant) {
  return std::string_view(variant.source).ends_with(".rs");
}

// "clang++" is "clang++-19" on some machines. Empty: there is none.
std::string find_compiler(const std::string& name) {
  std::vector<std::string> names = {name};
  for (int version = 22; version >= 14; --version) names.push_back(fmt::format("{}-{}", name, version));
  auto found =
      std::ranges::find_if(names, [](const auto& each) { return run_command({each, "--version"}).status == 0; });
  return found == names.end() ? "" : *found;
}

// Why this machine cannot build the variant; empty: it can.
std::string why_not(const Variant& variant, const std::string& compiler, const TemporaryDirectory& directory) {
  if (compiler.empty()) return fmt::format("{}: no such compiler here", variant.compiler);
  if (uses_libraries(variant)) {
    const std::string probe = directory.write("probe.cc", "#include <boost/unordered_map.hpp>\nint main() {}\n");
    const bool has_boost = run_command({compiler, "-fsyntax-only", probe}).status == 0;
    return !has_boost ? "no boost here" : abseil_flags().empty() ? "no abseil here" : "";
  }
  if (std::ranges::find(variant.flags, "-stdlib=libc++") == variant.flags.end()) return "";
  const std::string source = directory.write("probe.cc", "#include <map>\nstd::map<int, int> m;\nint main() {}\n");
  const CommandResult built = run_command({compiler, "-stdlib=libc++", source, "-o", directory.file("probe")});
  return built.status == 0 ? "" : "no libc++ here";
}

// The program's path, or "" and a test failure.
std::string build(const Variant& variant, const std::string& compiler, const TemporaryDirectory& directory) {
  std::string program = directory.file("typed_heap");
  std::vector<std::string> command = {compiler, std::string(HEAPWALK_SOURCE_DIR "/testdata/programs/") + variant.source,
                                      "-o", program};
  if (!is_rust(variant)) {
    command.insert(command.end(), {"-pthread", is_cxx(variant) ? "-std=c++20" : "-std=c11"});
    if (!is_cxx(variant)) command.emplace_back("-D_GNU_SOURCE");
  }
  command.insert(command.end(), variant.flags.begin(), variant.flags.end());
  if (uses_libraries(variant)) std::ranges::copy(abseil_flags(), std::back_inserter(command));
  if (!run_tool(command)) return "";
  if (!variant.separate_debug_info) return program;
  const std::string debug = program + ".debug";
  const bool separated = run_tool({"objcopy", "--only-keep-debug", program, debug}) &&
                         run_tool({"objcopy", "--strip-all", "--add-gnu-debuglink=" + debug, program});
  return separated ? program : "";
}

// ---- Names of types ----

std::vector<std::string> tokens_of(std::string_view name) {
  std::vector<std::string> tokens;
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$'; };
  for (size_t at = 0; at < name.size();) {
    size_t end = at;
    while (end < name.size() && is_word(name[end])) ++end;
    if (end == at) {
      end += name.substr(at).starts_with("::") ? 2 : 1;
    } else if (std::isdigit(static_cast<unsigned char>(name[at])) != 0) {  // "8ul" is 8
      size_t digits = at;
      while (digits < end && std::isdigit(static_cast<unsigned char>(name[digits])) != 0) ++digits;
      tokens.emplace_back(name.substr(at, digits - at));
      at = end;
      continue;
    }
    if (name[at] != ' ') tokens.emplace_back(name.substr(at, end - at));
    at = end;
  }
  return tokens;
}

// "long unsigned int", "unsigned long" → "unsigned long"; a run of other words stays as it is.
std::string integer_name(const std::vector<std::string>& words) {
  const auto count = [&](std::string_view word) { return std::ranges::count(words, word); };
  if (count("char") != 0)
    return count("unsigned") != 0 ? "unsigned char" : count("signed") != 0 ? "signed char" : "char";
  std::string size = count("short") != 0  ? "short"
                     : count("long") == 2 ? "long long"
                     : count("long") == 1 ? "long"
                                          : "";
  if (count("double") != 0) return "long double";
  if (size.empty()) size = "int";
  return (count("unsigned") != 0 ? "unsigned " : "") + size;
}

// Without what compilers and demanglers spell differently: spaces, const, inline namespaces, suffixes and casts of
// numbers, the order of "long unsigned int", names of lambdas, Rust's usual allocator and hasher; and without "[]" at
// the end.
std::string normalised(std::string_view name) {
  if (name.find("lambda") != std::string_view::npos) return "(lambda)";
  if (name.ends_with(']')) name = name.substr(0, name.rfind('['));
  static constexpr std::array<std::string_view, 6> kDropped = {"const", "volatile", "struct", "class", "union", "enum"};
  static constexpr std::array<std::string_view, 6> kInteger = {"unsigned", "signed", "long", "short", "int", "char"};
  std::vector<std::string> tokens = tokens_of(name), kept;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (std::ranges::find(kDropped, tokens[i]) != kDropped.end()) continue;
    if ((tokens[i] == "__cxx11" || tokens[i] == "__1") && i + 1 < tokens.size() && tokens[i + 1] == "::") {
      ++i;
    } else if (std::ranges::find(kInteger, tokens[i]) != kInteger.end()) {
      std::vector<std::string> words;
      for (; i < tokens.size() && (std::ranges::find(kInteger, tokens[i]) != kInteger.end() || tokens[i] == "double");
           ++i)
        words.push_back(tokens[i]);
      --i;
      kept.push_back(integer_name(words));
    } else if (tokens[i] == "(") {  // "(_Lock_policy)2" is 2
      const auto close = std::find(tokens.begin() + static_cast<ptrdiff_t>(i), tokens.end(), ")");
      const bool is_cast =
          close != tokens.end() && close + 1 != tokens.end() && std::isdigit((close + 1)->front()) != 0;
      if (is_cast)
        i = static_cast<size_t>(close - tokens.begin());
      else
        kept.push_back(tokens[i]);
    } else {
      kept.push_back(tokens[i]);
    }
  }
  std::string result;
  for (const std::string& token : kept) result += token;
  for (std::string_view usual : {",alloc::alloc::Global", ",std::hash::random::RandomState"}) {
    for (size_t at = result.find(usual); at != std::string::npos; at = result.find(usual)) {
      result.erase(at, usual.size());
    }
  }
  return result;
}

TEST(TypeNames, SpellingsOfOneTypeAreTheSame) {
  EXPECT_EQ(normalised("std::map<std::string const, long unsigned int, (L::Policy)2>"),
            normalised("std::map<const std::string,unsigned long , (L::Policy)2u>"));
  EXPECT_EQ(normalised("std::__cxx11::list<int, std::allocator<int> >[]"), "std::list<int,std::allocator<int>>");
  EXPECT_EQ(normalised("std::array<char, 8ul>"), normalised("std::array<char, 8>"));
  EXPECT_EQ(normalised("int[16]"), "int");
  EXPECT_EQ(normalised("signed char"), "signed char");
  EXPECT_EQ(normalised("long long int"), normalised("long long"));
  EXPECT_EQ(normalised("alloc::vec::Vec<u8, alloc::alloc::Global>"), normalised("alloc::vec::Vec<u8>"));
  EXPECT_NE(normalised("unsigned int"), normalised("int"));
  EXPECT_NE(normalised("Session*"), normalised("Session"));
  EXPECT_NE(normalised("void (int)"), normalised("void"));
}

// ---- Truth and what was found ----

struct TruthBlock {
  uint64_t size_bytes = 0;
  std::string type;
};
using TypeTruth = std::map<uint64_t, TruthBlock>;  // by address

TypeTruth read_type_truth(const std::string& path) {
  TypeTruth truth;
  std::ifstream file(path);
  std::string address, size, type;
  while (std::getline(file, address, '\t') && std::getline(file, size, '\t') && std::getline(file, type))
    truth[std::stoull(address, nullptr, 16)] = {std::stoull(size), type};
  return truth;
}

struct Share {
  uint64_t bytes = 0, right_bytes = 0;
  void add(uint64_t size_bytes, bool is_right) {
    bytes += size_bytes;
    right_bytes += is_right ? size_bytes : 0;
  }
};

double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

struct Score {
  size_t missing = 0;  // live, but not listed as used
  uint64_t live_bytes = 0;
  Share typed;
  std::map<std::string, Share> by_evidence;
  std::map<std::pair<std::string, std::string>, uint64_t> mistakes;  // (truth, found) → bytes
  std::map<std::string, uint64_t> untyped;                           // truth → bytes
  std::map<std::string, uint64_t> live;                              // all of it, typed or not

  double typed_share() const { return ratio(typed.bytes, live_bytes); }
  double right_share() const { return ratio(typed.right_bytes, typed.bytes); }
  std::string text() const;
};

template <class Key>
std::vector<std::pair<uint64_t, Key>> heaviest(const std::map<Key, uint64_t>& bytes_of) {
  std::vector<std::pair<uint64_t, Key>> rows;
  for (const auto& [key, bytes] : bytes_of) rows.emplace_back(bytes, key);
  std::ranges::sort(rows, std::greater<>());
  rows.resize(std::min(rows.size(), kShownMistakes));
  return rows;
}

std::string Score::text() const {
  std::string text = fmt::format("typed {:.2f} % of {} live bytes, {:.3f} % of those right; {} blocks missing\n",
                                 100 * typed_share(), live_bytes, 100 * right_share(), missing);
  for (const auto& [evidence, share] : by_evidence)
    text += fmt::format("  {:<10} {:6.2f} %, right {:.3f} %\n", evidence, 100 * ratio(share.bytes, live_bytes),
                        100 * ratio(share.right_bytes, share.bytes));
  for (const auto& [bytes, names] : heaviest(mistakes))
    text += fmt::format("  wrong   {:>8} B  {}\n         found {}\n", bytes, names.first, names.second);
  for (const auto& [bytes, name] : heaviest(untyped)) text += fmt::format("  untyped {:>8} B  {}\n", bytes, name);
  return text;
}

Score compare(TypeTruth truth, const std::string& objects_tsv) {
  Score score;
  std::istringstream lines(objects_tsv);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "address\tsize\tstate\tallocator\ttype\tevidence\treachable\tretained\troot");
  while (std::getline(lines, line)) {
    std::istringstream row(line);
    std::string address, size, state, allocator, type, evidence;
    for (std::string* cell : {&address, &size, &state, &allocator, &type, &evidence}) std::getline(row, *cell, '\t');
    const auto known = truth.find(std::stoull(address, nullptr, 16));
    if (known == truth.end()) continue;  // the C library's own
    const TruthBlock block = known->second;
    truth.erase(known);
    EXPECT_EQ(size, std::to_string(block.size_bytes)) << address;
    score.live_bytes += block.size_bytes;
    score.live[block.type] += block.size_bytes;
    const bool is_typed = evidence != "none";
    const bool is_right = is_typed && normalised(type) == normalised(block.type);
    score.by_evidence[evidence].add(block.size_bytes, is_right);
    if (!is_typed) score.untyped[block.type] += block.size_bytes;
    if (is_typed) score.typed.add(block.size_bytes, is_right);
    if (is_typed && !is_right) score.mistakes[{block.type, type}] += block.size_bytes;
  }
  score.missing = truth.size();
  for (const auto& [address, block] : truth) score.live_bytes += block.size_bytes;
  return score;
}

// ---- What containers own ----

struct ContainerSum {
  uint64_t count = 0, elements = 0, unused_bytes = 0;
  friend bool operator==(const ContainerSum&, const ContainerSum&) = default;
  friend void PrintTo(const ContainerSum& sum, std::ostream* out) {
    *out << sum.count << " with " << sum.elements << " elements and " << sum.unused_bytes << " unused bytes";
  }
};
using ContainerSums = std::map<std::string, ContainerSum>;  // by type

ContainerSums read_container_truth(const std::string& path) {
  ContainerSums sums;
  std::ifstream file(path);
  std::string type;
  while (std::getline(file, type, '\t')) {
    ContainerSum& sum = sums[normalised(type)];
    file >> sum.count >> sum.elements >> sum.unused_bytes >> std::ws;
  }
  return sums;
}

// Of `types --format json`; the containers that nobody holds by name are among them.
ContainerSums found_containers(const Json& types) {
  ContainerSums sums;
  for (const Json& row : types["containers"].items()) {
    ContainerSum& sum = sums[normalised(row["type"].text())];
    sum.count += row["count"].number();
    sum.elements += row["elements"].number();
    sum.unused_bytes += row["unused_bytes"].number();
  }
  return sums;
}

class TypeTruthOf : public ::testing::TestWithParam<Variant> {};

TEST_P(TypeTruthOf, IsWhatHeapwalkFinds) {
  const Variant& variant = GetParam();
  const TemporaryDirectory directory;
  const std::string compiler = find_compiler(variant.compiler);
  if (const std::string reason = why_not(variant, compiler, directory); !reason.empty()) GTEST_SKIP() << reason;
  const std::string program = build(variant, compiler, directory);
  ASSERT_NE(program, "");
  const ProgramRun run({.arguments = {program, directory.file("truth.tsv")}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  TypeTruth truth = read_type_truth(directory.file("truth.tsv"));
  ASSERT_GT(truth.size(), 5000U);

  const CommandOutput result = run_heapwalk({"objects", run.core_path(), program, "--format", "tsv"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Score score = compare(std::move(truth), result.out);
  fmt::print("{}: {}", variant.name, score.text());
  EXPECT_EQ(score.missing, 0U);
  EXPECT_GE(score.typed_share(), kLeastTypedShare);
  EXPECT_GE(score.right_share(), kLeastRightShare);
  for (const auto& [type, bytes] : score.untyped) {
    const uint64_t live_bytes = score.live.at(type);
    if (live_bytes < kLeastBytesOfAType || std::ranges::find(kHardTypes, type) != kHardTypes.end()) continue;
    EXPECT_LE(ratio(bytes, live_bytes), 1 - kLeastShareOfAType) << type;
  }

  const CommandOutput types = run_heapwalk({"types", run.core_path(), program, "--format", "json"});
  ASSERT_EQ(types.status, 0) << types.err;
  const Json document = parse_json(types.out);
  const ContainerSums found = found_containers(document);
  const bool is_libcxx = std::ranges::find(variant.flags, "-stdlib=libc++") != variant.flags.end();
  for (const auto& [type, sum] : read_container_truth(directory.file("truth.tsv.containers"))) {
    if (is_libcxx && std::ranges::find(kPoppedTypes, type) != kPoppedTypes.end()) continue;
    const auto at = found.find(type);
    EXPECT_EQ(at == found.end() ? ContainerSum() : at->second, sum) << type;
  }
  for (const Json& row : document["diagnostics"].items()) {
    if (is_libcxx) break;
    EXPECT_NE(row["code"].text(), "container_count") << row["count"].number() << " elements";
  }
}

INSTANTIATE_TEST_SUITE_P(BuiltBy, TypeTruthOf, ::testing::ValuesIn(variants()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace heapwalk::test
