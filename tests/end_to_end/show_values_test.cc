// What `show` prints of containers against what the programs know: they fill them by rules that their sources say.
//
//     g_sessions["session-17-of-a-longer-name"].id == 17     17 % 4 tags, a token if 17 % 3 == 0
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

constexpr size_t kShownNodes = 12;

struct Build {
  const char* name;
  const char* source;
  std::vector<std::string> command;
};

std::vector<Build> cxx_builds() {
  const std::vector<std::string> gcc = {"g++", "-g", "-O2", "-std=c++20", "-pthread"};
  return {{"gcc", "typed_heap.cc", gcc},
          {"libcxx", "typed_heap.cc", {"clang++-19", "-g", "-O2", "-std=c++20", "-pthread", "-stdlib=libc++"}}};
}

// A program, its core, and the addresses of its blocks by type.
class ShownProgram {
 public:
  explicit ShownProgram(const Build& build) {
    const bool is_rust = build.command.front() == "rustc";
    const std::string probe = is_rust ? directory_.write("probe.rs", "fn main() {}\n")
                                      : directory_.write("probe.cc", "#include <map>\nint main() {}\n");
    if (!compile(build, probe)) {
      skip_reason_ = fmt::format("{} compiles nothing here", build.command.front());
      return;
    }
    EXPECT_TRUE(compile(build, std::string(HEAPWALK_SOURCE_DIR "/testdata/programs/") + build.source));
    run_ = std::make_unique<ProgramRun>(RunOptions{.arguments = {program_, directory_.file("truth.tsv")}});
    skip_reason_ = run_->skip_reason();
    EXPECT_EQ(run_->error(), "");
  }

  const std::string& skip_reason() const { return skip_reason_; }

  // Of the blocks whose type begins with the one text and contains the other.
  std::vector<std::string> blocks(std::string_view begin, std::string_view part = "") const {
    std::vector<std::string> found;
    std::ifstream file(directory_.file("truth.tsv"));
    std::string address, size, type;
    while (std::getline(file, address, '\t') && std::getline(file, size, '\t') && std::getline(file, type)) {
      if (type.starts_with(begin) && type.find(part) != std::string::npos) found.push_back(address);
    }
    return found;
  }

  Json fields(const std::string& address) const {
    const CommandOutput result =
        run_heapwalk({"show", run_->core_path(), program_, "--address", address, "--format", "json", "--limit", "1"});
    EXPECT_EQ(result.status, 0) << result.err;
    return parse_json(result.out)["fields"];
  }

 private:
  bool compile(const Build& build, const std::string& source) const {
    std::vector<std::string> command = build.command;
    command.insert(command.end(), {source, "-o", program_});
    return run_command(command).status == 0;
  }

  TemporaryDirectory directory_;
  std::string program_ = directory_.file("program");
  std::unique_ptr<ProgramRun> run_;
  std::string skip_reason_;
};

// The first field of the name, at whatever depth.
std::string value_of(const Json& fields, std::string_view name) {
  for (const Json& field : fields.items()) {
    if (field["name"].text() == name) return field["value"].text();
  }
  return fmt::format("no field {}", name);
}

// "size 3" of "size 3, capacity 4".
std::string size_of(const Json& fields, std::string_view name) {
  const std::string value = value_of(fields, name);
  return value.substr(0, value.find(','));
}

class ShowValues : public ::testing::TestWithParam<Build> {};

void check_session(const Json& fields) {
  const uint64_t id = std::stoull(value_of(fields, "id"));
  EXPECT_EQ(value_of(fields, "first"), fmt::format("\"session-{}{}\"", id, id % 2 != 0 ? "-of-a-longer-name" : ""));
  EXPECT_TRUE(value_of(fields, "user").starts_with("\"text-")) << value_of(fields, "user");
  EXPECT_EQ(size_of(fields, "tags"), fmt::format("size {}", id % 4));
  EXPECT_EQ(value_of(fields, "token"), id % 3 == 0 ? "has a value" : "empty");
  EXPECT_EQ(value_of(fields, "expires"), id % 3 == 0 ? std::to_string(id * 1000) : "no field expires");
}

TEST_P(ShowValues, AreWhatTheProgramPutThere) {
  const ShownProgram program(GetParam());
  if (!program.skip_reason().empty()) GTEST_SKIP() << program.skip_reason();
  const auto sessions = program.blocks("std::", "ree_node<std::");
  size_t shown = 0;
  for (const std::string& node : sessions) {
    const Json fields = shown < kShownNodes ? program.fields(node) : parse_json("[]");
    if (!value_of(fields, "previous").starts_with("0x")) continue;  // another map's
    check_session(fields);
    ++shown;
  }
  EXPECT_EQ(shown, kShownNodes);

  const auto applications = program.blocks("shop::Application");
  ASSERT_EQ(applications.size(), 1U);
  const Json application = program.fields(applications.front());
  const std::map<std::string, int> sizes = {{"by_name", 1200}, {"by_id", 1200},  {"settings", 600}, {"orders", 167},
                                            {"shapes", 400},   {"posters", 133}, {"devices", 400},  {"shelf", 500},
                                            {"handlers", 300}, {"packets", 300}, {"slots", 300}};
  for (const auto& [name, size] : sizes) EXPECT_EQ(size_of(application, name), fmt::format("size {}", size)) << name;
  const auto archives = program.blocks("shop::Archive");
  ASSERT_EQ(archives.size(), 1U);
  EXPECT_EQ(value_of(application, "archive"), archives.front() + " → shop::Archive");
  const Json archive = program.fields(archives.front());
  for (const char* name : {"notes", "numbers", "codes", "path", "batches"})
    EXPECT_EQ(size_of(archive, name), "size 400") << name;
  EXPECT_TRUE(value_of(archive, "first").ends_with("→ shop::Session")) << value_of(archive, "first");
}

INSTANTIATE_TEST_SUITE_P(BuiltBy, ShowValues, ::testing::ValuesIn(cxx_builds()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ShowRustValues, AreWhatTheProgramPutThere) {
  const ShownProgram program({"rust", "typed_heap_rs.rs", {"rustc", "-g", "--edition=2021", "-Copt-level=2"}});
  if (!program.skip_reason().empty()) GTEST_SKIP() << program.skip_reason();
  const auto servers = program.blocks("typed_heap_rs::Server");
  ASSERT_EQ(servers.size(), 1U);
  const Json server = program.fields(servers.front());
  const std::map<std::string, int> sizes = {
      {"sessions", 257}, {"by_name", 200}, {"seen", 1000},  {"names", 300}, {"index", 1600},  {"places", 500},
      {"ids", 3000},     {"shapes", 300},  {"table", 3000}, {"pairs", 150}, {"options", 150}, {"shared_shapes", 120}};
  for (const auto& [name, size] : sizes) EXPECT_EQ(size_of(server, name), fmt::format("size {}", size)) << name;
  const auto documents = program.blocks("alloc::sync::ArcInner<typed_heap_rs::Document>");
  ASSERT_GE(documents.size(), kShownNodes);
  for (size_t i = 0; i < kShownNodes; ++i) {
    const Json document = program.fields(documents[i]);
    uint64_t number = 0;
    const std::string title = value_of(document, "title");
    ASSERT_EQ(std::sscanf(title.c_str(), "\"document number %lu of many\"", &number), 1) << title;
    EXPECT_EQ(size_of(document, "words"), fmt::format("size {}", number % 7));
    EXPECT_EQ(size_of(document, "body"),
              fmt::format("size {}", fmt::format("body number {} of many", number * number).size()));
  }
}

}  // namespace
}  // namespace heapwalk::test
