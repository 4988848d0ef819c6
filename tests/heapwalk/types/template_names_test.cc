#include "heapwalk/types/template_names.h"

#include <gtest/gtest.h>

#include "tests/support/typed_memory.h"

namespace heapwalk::test {
namespace {

TEST(TemplateNames, AreWhatStandsBeforeTheArguments) {
  EXPECT_EQ(template_name("std::vector<std::pair<int, A<B> >, C>"), "std::vector");
  EXPECT_EQ(template_name("std::_Rb_tree<int>::_Rb_tree_impl<L>"), "std::_Rb_tree<int>::_Rb_tree_impl<L>");
  EXPECT_EQ(template_name("alloc::boxed::Box<dyn Fn(u64) -> u64, G>"), "alloc::boxed::Box");
  EXPECT_EQ(template_name("Session"), "Session");
  EXPECT_EQ(template_name("<lambda>"), "<lambda>");
  EXPECT_EQ(template_name(""), "");
}

TEST(TemplateNames, OfLibrariesHaveOneSpelling) {
  for (std::string_view name : {"std::__1::list<int>", "std::__2::list<int>", "std::__ndk1::list<int>"})
    EXPECT_EQ(library_name(name), "std::__1::list");
  for (std::string_view name : {"absl::lts_20240722::InlinedVector<int, 4>", "absl::debian3::InlinedVector<int, 4>",
                                "absl::InlinedVector<int, 4>"})
    EXPECT_EQ(library_name(name), "absl::InlinedVector");
  EXPECT_EQ(library_name("absl::container_internal::ctrl_t"), "absl::container_internal::ctrl_t");
  EXPECT_EQ(library_name("absl::lts_20240722"), "absl::lts_20240722");
  EXPECT_EQ(library_name("std::list<int>"), "std::list");
}

TEST(TemplateNames, ArgumentsAreFoundByPath) {
  TypedMemory memory;
  const TypeId base = memory.record("std::__new_allocator<long>", 1, {}, {memory.long_});
  const TypeId bare = memory.types.open(TypeKind::record, "std::allocator<long>", 1).id;
  memory.types.fill(bare, {{.name = "", .type = base, .is_base = true}}, {});  // as gcc describes it
  const TypeId table = memory.record("Table<P, A>", 8, {}, {kNoType, bare});
  const TypeTable& types = memory.types.table();
  EXPECT_EQ(template_argument(types, table, "1"), bare);
  EXPECT_EQ(template_argument(types, table, "1.0"), memory.long_);
  EXPECT_EQ(template_argument(types, table, "0.0"), kNoType);
  EXPECT_EQ(template_argument(types, table, "2"), kNoType);
  EXPECT_EQ(template_argument(types, table, "1.0.0"), kNoType);
  EXPECT_EQ(template_argument(types, table, ""), kNoType);
  EXPECT_EQ(template_argument(types, memory.long_, "0"), kNoType);
}

}  // namespace
}  // namespace heapwalk::test
