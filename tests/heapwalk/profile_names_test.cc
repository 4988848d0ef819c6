#include "heapwalk/profile_names.h"

#include <gtest/gtest.h>

namespace heapwalk {
namespace {

TEST(ProfileNames, DropsNamespacesInsideTemplateArgumentsOnly) {
  EXPECT_EQ(shorten_type_name("ns::Session"), "ns::Session");
  EXPECT_EQ(shorten_type_name("ns::Map<ns::detail::Key, std::vector<ns::Value, std::allocator<ns::Value> > >"),
            "ns::Map<Key, vector<Value, allocator<Value> > >");
  EXPECT_EQ(shorten_type_name("a::B<c::D>::E<f::G>"), "a::B<D>::E<G>");
  EXPECT_EQ(shorten_type_name("A<(anonymous namespace)::B>"), "A<B>");
  EXPECT_EQ(shorten_type_name("(anonymous namespace)::B"), "(anonymous namespace)::B");
  EXPECT_EQ(shorten_type_name("A<&ns::operator<< >::B"), "A<&operator<< >::B");
  EXPECT_EQ(shorten_type_name("F<int (*)(ns::X const&, 3ul)>"), "F<int (*)(X const&, 3ul)>");
  EXPECT_EQ(shorten_type_name("[48 B]"), "[48 B]");
  EXPECT_EQ(shorten_type_name(""), "");
}

TEST(ProfileNames, SenselessNamesStaySafe) {
  EXPECT_EQ(shorten_type_name(">>>a::b"), ">>>a::b");
  EXPECT_EQ(shorten_type_name("<<<a::"), "<<<");
  EXPECT_EQ(shorten_type_name("\xff\xfe<x::\xfd>"), "\xff\xfe<\xfd>");
}

TEST(ProfileNames, ACollisionKeepsTheFullNames) {
  std::vector<std::string_view> names = {"V<a::K>", "V<b::K>", "V<a::L>", "V<a::K>"};
  EXPECT_EQ(profile_type_names(names), (std::vector<std::string>{"V<a::K>", "V<b::K>", "V<L>", "V<a::K>"}));
}

}  // namespace
}  // namespace heapwalk
