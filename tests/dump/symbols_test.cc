#include "dump/symbols.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace heapwalk {
namespace {

Symbol symbol(uint64_t address, uint64_t size, std::string_view name, bool global = true,
              SymbolKind kind = SymbolKind::object) {
  return {address, size, name, kind, global};
}

std::string_view name_at(const SymbolTable& table, uint64_t address) {
  const Symbol* found = table.find(address);
  return found == nullptr ? "" : found->name;
}

TEST(Symbols, EmptyTableFindsNothing) {
  SymbolTable table;
  EXPECT_TRUE(table.empty());
  EXPECT_TRUE(table.check());
  EXPECT_EQ(table.find(0), nullptr);
  EXPECT_EQ(table.find_tls(0), nullptr);
  EXPECT_EQ(table.find_by_name("main"), nullptr);
}

TEST(Symbols, CoversBeginToEnd) {
  SymbolTable table({symbol(100, 10, "a"), symbol(120, 5, "b")});
  EXPECT_EQ(name_at(table, 99), "");
  EXPECT_EQ(name_at(table, 100), "a");
  EXPECT_EQ(name_at(table, 109), "a");
  EXPECT_EQ(name_at(table, 110), "");
  EXPECT_EQ(name_at(table, 124), "b");
  EXPECT_EQ(name_at(table, 125), "");
}

TEST(Symbols, NestedSymbolGivesWayToTheOuterOneBehindIt) {
  SymbolTable table({symbol(100, 100, "outer"), symbol(120, 10, "inner"), symbol(124, 2, "innermost")});
  EXPECT_EQ(name_at(table, 119), "outer");
  EXPECT_EQ(name_at(table, 120), "inner");
  EXPECT_EQ(name_at(table, 125), "innermost");
  EXPECT_EQ(name_at(table, 126), "inner");
  EXPECT_EQ(name_at(table, 130), "outer");
  EXPECT_EQ(name_at(table, 199), "outer");
}

TEST(Symbols, SizeZeroCoversItsOwnAddressOnly) {
  SymbolTable table({symbol(100, 100, "outer"), symbol(150, 0, "label"), symbol(300, 0, "lonely")});
  EXPECT_EQ(name_at(table, 150), "label");
  EXPECT_EQ(name_at(table, 151), "outer");
  EXPECT_EQ(name_at(table, 300), "lonely");
  EXPECT_EQ(name_at(table, 301), "");
}

TEST(Symbols, AtOneAddressGlobalWithSizeIsPreferred) {
  SymbolTable table({symbol(100, 8, "local", false), symbol(100, 0, "marker"), symbol(100, 8, "global")});
  EXPECT_EQ(name_at(table, 100), "global");
  ASSERT_EQ(table.all().size(), 3u);
  EXPECT_EQ(table.all()[2].name, "marker");
}

TEST(Symbols, TwinsOfBothTablesAreOne) {
  SymbolTable table({symbol(100, 8, "malloc"), symbol(100, 8, "malloc"), symbol(100, 8, "__libc_malloc")});
  EXPECT_EQ(table.all().size(), 2u);
}

TEST(Symbols, TlsSymbolsAreOffsetsOfTheirOwn) {
  SymbolTable table({symbol(0, 8, "errno", true, SymbolKind::tls), symbol(0, 64, "header")});
  EXPECT_EQ(name_at(table, 4), "header");
  ASSERT_NE(table.find_tls(4), nullptr);
  EXPECT_EQ(table.find_tls(4)->name, "errno");
  EXPECT_EQ(table.find_tls(8), nullptr);
  ASSERT_NE(table.find_by_name("errno"), nullptr);
}

TEST(Symbols, NameFindsTheGlobalOne) {
  SymbolTable table({symbol(10, 1, "x", false), symbol(20, 1, "x"), symbol(30, 1, "y", false)});
  EXPECT_EQ(table.find_by_name("x")->link_address, 20u);
  EXPECT_EQ(table.find_by_name("y")->link_address, 30u);
  EXPECT_EQ(table.find_by_name("z"), nullptr);
  SymbolTable copy = table;
  EXPECT_EQ(copy.find_by_name("x"), &copy.all()[1]);
}

TEST(Symbols, EndsOfTheAddressSpaceDoNotWrap) {
  SymbolTable table({symbol(UINT64_MAX - 4, 100, "top"), symbol(0, UINT64_MAX, "all")});
  EXPECT_TRUE(table.check());
  EXPECT_EQ(name_at(table, 5), "all");
  EXPECT_EQ(name_at(table, UINT64_MAX - 1), "top");
}

// The definition, word for word: of the symbols that cover the address, the one that begins last; where several begin
// there, the first of the table's order.
const Symbol* slow_find(const SymbolTable& table, uint64_t address) {
  const Symbol* best = nullptr;
  for (const Symbol& s : table.all()) {
    bool covers = s.size_bytes == 0 ? s.link_address == address
                                    : address >= s.link_address && address - s.link_address < s.size_bytes;
    if (covers && (best == nullptr || s.link_address > best->link_address)) best = &s;
  }
  return best;
}

TEST(Symbols, AgreesWithTheDefinitionOnRandomTables) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> names(30);
    std::vector<Symbol> symbols;
    for (size_t i = 0; i < names.size(); ++i) {
      names[i] = "s" + std::to_string(i);
      symbols.push_back(symbol(random() % 60, random() % 3 == 0 ? 0 : random() % 25, names[i], random() % 2 == 0));
    }
    SymbolTable table(symbols);
    ASSERT_TRUE(table.check());
    for (uint64_t address = 0; address < 100; ++address) {
      ASSERT_EQ(table.find(address), slow_find(table, address)) << "round " << round << " at " << address;
    }
  }
}

TEST(Demangle, CxxAndRustNames) {
  EXPECT_EQ(demangle("_ZN3foo3barE"), "foo::bar");
  EXPECT_EQ(demangle("main"), "main");
  EXPECT_EQ(demangle(""), "");
  EXPECT_EQ(demangle("_Z"), "_Z");
  EXPECT_EQ(demangle("_ZGVZ4mainE1x"), "guard variable for main::x");
  EXPECT_EQ(demangle("_ZTV3Foo"), "vtable for Foo");
  EXPECT_EQ(demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
  EXPECT_EQ(demangle("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"), "core::fmt::Formatter::pad");
  EXPECT_EQ(demangle("_ZN50_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$Clone$GT$5clone17h0123456789abcdefE"),
            "<alloc::vec::Vec<T> as Clone>::clone");
  EXPECT_EQ(demangle("_ZNSt3mapINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEES5_St4lessIS5_ESaISt4pairIKS5_S5_"
                     "EEE6insertIRS9_EES8_OT_"),
            demangle("_ZNSt3mapINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEES5_St4lessIS5_ESaISt4pairIKS5_S5_"
                     "EEE6insertIRS9_EES8_OT_"));
}

// Each argument of the function is A<previous, previous>: the text doubles with every ten characters of the name.
TEST(Demangle, NameThatStandsForGigabytesIsLeftAlone) {
  auto sequence_id = [](int i) {
    const char* digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::string id = i < 36 ? std::string(1, digits[i]) : std::string{digits[i / 36], digits[i % 36]};
    return "S" + id + "_";
  };
  std::string name = "_Z1f1AIiiE";
  for (int i = 0; i < 4; ++i) name += "S_I" + sequence_id(i) + sequence_id(i) + "E";
  EXPECT_TRUE(demangle(name).starts_with("f(A<int, int>, A<A<int, int>, A<int, int>>,")) << demangle(name);
  for (int i = 4; i < 100; ++i) name += "S_I" + sequence_id(i) + sequence_id(i) + "E";
  EXPECT_EQ(demangle(name), name);
  std::string rust = "_RINvC1a1b";
  for (int i = 0; i < 200; ++i) rust += "TB5_B5_E";
  EXPECT_LE(demangle(rust + "E").size(), size_t{1} << 24);
}

TEST(Demangle, DeepNamesDoNotOverflowTheStack) {
  for (std::string part : {"P", "1AI", "N1AI", "Dp", "X", "ng", "F", "A_", "L_Z"}) {
    std::string name = "_Z1f";
    while (name.size() < 100000) {
      name += part;
      if (name.size() > 4000 && name.size() < 4100) demangle(name);
    }
    EXPECT_EQ(demangle(name), name);
    EXPECT_FALSE(demangle(name.substr(0, 4000)).empty());
  }
}

}  // namespace
}  // namespace heapwalk
