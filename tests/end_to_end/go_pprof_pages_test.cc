// What people look at: `go tool pprof -http` shows both profiles of a Go core, what holds its memory and where it was
// allocated, on the pages that need no further program.
#include <gtest/gtest.h>

#include "tests/support/go_pprof.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/recorded_core.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

struct Wanted {
  const char* path;
  std::vector<const char*> texts;
};

void expect_pages(const TemporaryDirectory& directory, const std::string& profile, const std::vector<Wanted>& pages) {
  const GoPprofServer server(directory.path().string(), profile);
  ASSERT_EQ(server.error(), "");
  for (const Wanted& wanted : pages) {
    const GoPprofServer::Page page = server.get(wanted.path);
    EXPECT_EQ(page.status, 200) << wanted.path << ": " << page.text.substr(0, 500);
    for (const char* text : wanted.texts)
      EXPECT_NE(page.text.find(text), std::string::npos) << wanted.path << " without " << text;
  }
}

TEST(GoPprofPages, ShowWhatHoldsTheMemory) {
  if (const std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
  const RecordedCore core(26);
  ASSERT_EQ(core.error(), "");
  const TemporaryDirectory directory;
  const std::string profile = directory.file("retention.pb.gz");
  const CommandOutput report = run_heapwalk({"report", core.core_path(), core.binary(), "--pprof", profile, "--quiet"});
  ASSERT_EQ(report.status, 0) << report.err;
  expect_pages(directory, profile,
               {{"/top", {"main.node*[]", "main.record[]", "main.byPointers"}},
                {"/flamegraph", {"main.bigPointers", "main.byPointers", "main.planted", "main.startLeaked"}},
                {"/peek?f=.", {"main.bigPointers", "main.byPointers", "main.node*[]"}},
                {"/source?f=main", {"main.start"}},
                {"/top?si=inuse_objects", {"main.node"}}});
}

TEST(GoPprofPages, ShowWhereItWasAllocated) {
  if (const std::string reason = why_no_go_pprof(); !reason.empty()) GTEST_SKIP() << reason;
  const RecordedCore core(26);
  ASSERT_EQ(core.error(), "");
  const TemporaryDirectory directory;
  const std::string profile = directory.file("heap.pb.gz");
  const CommandOutput heap =
      run_heapwalk({"profile", core.core_path(), core.binary(), "--kind", "heap", "-o", profile, "--quiet"});
  ASSERT_EQ(heap.status, 0) << heap.err;
  expect_pages(directory, profile,
               {{"/top", {"main.makeObjects", "main.makeMaps", "main.newNode"}},
                {"/flamegraph", {"main.makeObjects", "main.makeMaps", "runtime.main"}},
                {"/peek?f=.", {"main.makeObjects", "main.makeMaps", "runtime.main"}},
                {"/source?f=main.make", {"main.makeObjects", "main.makeMaps", "objects.go"}},
                {"/top?si=alloc_space", {"main.makeObjects"}}});
}

}  // namespace
}  // namespace heapwalk::test
