// The layering, checked where it can rot: in the includes.
//
//     dump ← dwarf ← heapwalk ← report ← heapwalk/cli          proto: a leaf that only report uses
//
// A folder may include itself and what is left of it. And each third-party library has one door: the files listed here
// are the only ones that include its headers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;  // relative to the source root
  std::string header;
  bool quoted;
};

std::string layer_of(const std::string& path) {
  if (path.starts_with("heapwalk/cli/")) return "cli";
  return path.substr(0, path.find('/'));
}

std::vector<Include> all_includes() {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> includes;
  for (const char* folder : {"dump", "dwarf", "heapwalk", "report"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(HEAPWALK_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".h") continue;
      std::ifstream file(entry.path());
      const std::string name = fs::relative(entry.path(), HEAPWALK_SOURCE_DIR);
      for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (std::regex_search(line, match, kInclude)) includes.push_back({name, match[2], match[1] == "\""});
      }
    }
  }
  return includes;
}

TEST(Layering, IncludesPointLeft) {
  const std::map<std::string, std::set<std::string>> allowed = {
      {"dump", {"dump"}},
      {"dwarf", {"dump", "dwarf"}},
      {"heapwalk", {"dump", "dwarf", "heapwalk"}},
      {"report", {"dump", "heapwalk", "report", "proto"}},
      {"cli", {"dump", "heapwalk", "report", "cli"}},
  };
  size_t own = 0;
  for (const Include& include : all_includes()) {
    if (!include.quoted) continue;
    ++own;
    EXPECT_TRUE(allowed.at(layer_of(include.file)).contains(layer_of(include.header)))
        << include.file << " includes " << include.header;
  }
  EXPECT_GT(own, 100U) << "the test did not find the sources";
}

// heapwalk/runtimes/go/NAME/file: NAME; else "".
std::string go_folder_of(const std::string& path) {
  constexpr std::string_view kGo = "heapwalk/runtimes/go/";
  if (!path.starts_with(kGo)) return "";
  const size_t end = path.find('/', kGo.size());
  return end == std::string::npos ? "" : path.substr(kGo.size(), end - kGo.size());
}

TEST(Layering, FoldersOfGoIncludeThoseBelow) {
  const std::map<std::string, std::set<std::string>> allowed = {
      {"program", {"program"}},
      {"heap", {"program", "heap"}},
      {"stacks", {"program", "heap", "stacks"}},
      {"types", {"program", "heap", "stacks", "types"}},
      {"profiles", {"program", "heap", "stacks", "profiles"}},
  };
  size_t checked = 0;
  for (const Include& include : all_includes()) {
    const std::string from = go_folder_of(include.file), to = go_folder_of(include.header);
    if (from.empty() || to.empty()) continue;
    ++checked;
    EXPECT_TRUE(allowed.at(from).contains(to)) << include.file << " includes " << include.header;
  }
  EXPECT_GT(checked, 100U) << "the test did not find the folders";
}

TEST(Layering, ReportNeverTouchesTargetMemory) {
  for (const Include& include : all_includes()) {
    if (layer_of(include.file) != "report") continue;
    EXPECT_NE(include.header, "dump/address_space.h") << include.file;
    EXPECT_FALSE(include.header.starts_with("dwarf/")) << include.file;
  }
}

TEST(Layering, EachLibraryHasOneDoor) {
  struct Door {
    std::string headers;  // regular expression
    std::set<std::string> files;
  };
  const std::vector<Door> doors = {
      {R"(^llvm/Object/)", {"dump/elf_image.cc"}},
      {R"(^llvm/Demangle/)", {"dump/demangle.cc"}},
      {R"(^llvm/DebugInfo/)", {"dwarf/debug_info.h"}},
      {R"(^(elfutils/|libelf|gelf\.h|dwarf\.h))", {"dwarf/unwinder.cc"}},
      {R"(^archive)", {"dump/archive_stream.cc"}},
      {R"(^(google/protobuf/|proto/profile\.pb\.h|zlib\.h))", {"report/pprof_encoder.cc"}},
      {R"(^CLI/)", {"heapwalk/cli/options.cc"}},
  };
  for (const Door& door : doors) {
    const std::regex pattern(door.headers);
    bool used = false;
    for (const Include& include : all_includes()) {
      if (!std::regex_search(include.header, pattern)) continue;
      used = true;
      EXPECT_TRUE(door.files.contains(include.file)) << include.file << " includes " << include.header;
    }
    EXPECT_TRUE(used) << "no file includes " << door.headers << ": is the pattern still right?";
  }
}

}  // namespace
