// What the symbols of a class lead to: the part of them that stands for the class.
#include <gtest/gtest.h>

#include "dump/symbols.h"
#include "dwarf/type_table.h"

namespace heapwalk {
namespace {

TEST(MangledClass, IsWhatItsFunctionsBeginWith) {
  EXPECT_EQ(
      mangled_class("_ZNSt17_Function_handlerIFiiEN4shop5RetryEE10_M_managerERSt9_Any_dataRKS4_St18_Manager_operation",
                    "_M_manager"),
      "St17_Function_handlerIFiiEN4shop5RetryEE");
  EXPECT_EQ(mangled_class("_ZNKSt3__110__function6__funcIiE7__cloneEv", "__clone"), "St3__110__function6__funcIiE");
  EXPECT_EQ(mangled_class("_ZNSt3__19__any_imp13_LargeHandlerIiE8__handleB8ne190107ENS0_7_ActionE", "__handle"),
            "St3__19__any_imp13_LargeHandlerIiE");
  EXPECT_EQ(mangled_class("_ZTVNSt3__110__function6__funcIiEE"), "St3__110__function6__funcIiE");
  EXPECT_EQ(mangled_class("_ZTVSt19_Sp_counted_deleterIiE"), "St19_Sp_counted_deleterIiE");
  EXPECT_EQ(mangled_class("_ZNSt3fooIiE3barEv", "ba"), "");
  EXPECT_EQ(mangled_class("_ZNSt3fooIiE3barEv", ""), "");
  EXPECT_EQ(mangled_class("_ZN3bar", "bar"), "");
  EXPECT_EQ(mangled_class("main", "main"), "");
  EXPECT_EQ(mangled_class("_ZTI3Foo"), "");
}

TEST(TypeTable, FindsClassesByTheirMangledNames) {
  TypeTableBuilder builder;
  const TypeId type = builder.open(TypeKind::record, "ns::Map<int>", 8).id;
  builder.set_mangled(type, "2ns3MapIiE");
  builder.set_mangled(type, "");
  EXPECT_EQ(builder.table().find_mangled("2ns3MapIiE"), type);
  EXPECT_FALSE(builder.table().find_mangled(""));
}

}  // namespace
}  // namespace heapwalk
