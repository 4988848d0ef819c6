#include "heapwalk/readable_names.h"

#include <gtest/gtest.h>

namespace heapwalk {
namespace {

constexpr std::string_view kString = "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

std::string with_string(std::string_view before, std::string_view after) {
  return std::string(before) + std::string(kString) + std::string(after);
}

TEST(ReadableTypeName, DropsWhatIsDefault) {
  EXPECT_EQ(readable_type_name(kString), "std::string");
  EXPECT_EQ(readable_type_name("std::vector<int, std::allocator<int> >[]"), "std::vector<int>[]");
  EXPECT_EQ(
      readable_type_name(with_string("std::map<", ", Session, std::less<int>, std::allocator<std::pair<int, A> > >")),
      "std::map<std::string, Session>");
  EXPECT_EQ(readable_type_name("alloc::vec::Vec<u8, alloc::alloc::Global>"), "alloc::vec::Vec<u8>");
}

TEST(ReadableTypeName, KeepsWhatTells) {
  EXPECT_EQ(readable_type_name("std::vector<int, Arena<int> >"), "std::vector<int, Arena<int>>");
  EXPECT_EQ(readable_type_name("std::set<int, Reverse<int> >"), "std::set<int, Reverse<int>>");
  EXPECT_EQ(readable_type_name("std::allocator<int>"), "std::allocator<int>");
  EXPECT_EQ(readable_type_name("ns::Session*"), "ns::Session*");
}

TEST(ReadableTypeName, NamesGoPackagesByTheirLastPart) {
  EXPECT_EQ(readable_type_name("map[string]*github.com/acme/shop/cart.Item"), "map[string]*cart.Item");
  EXPECT_EQ(readable_type_name("goroutine 7 [select] a.b/c/v2/server.(*client).readLoop"),
            "goroutine 7 [select] server.(*client).readLoop");
  EXPECT_EQ(readable_type_name("map.group[encoding/json.Number,[]net/http.Header]"),
            "map.group[json.Number,[]http.Header]");
  EXPECT_EQ(readable_type_name("/dev/shm/pool.bin 0x7f00"), "/dev/shm/pool.bin 0x7f00");
  EXPECT_EQ(readable_type_name("ns::operator/"), "ns::operator/");
}

TEST(ReadableTypeName, LeavesUnmatchedBracketsAlone) {
  EXPECT_EQ(readable_type_name("broken<int, std::allocator<int"), "broken<int, std::allocator<int");
  EXPECT_EQ(readable_type_name(", std::less<"), ", std::less<");
  EXPECT_EQ(readable_type_name(""), "");
}

}  // namespace
}  // namespace heapwalk
