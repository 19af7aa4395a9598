// What may not reach a terminal as it is, and what may.
#include "graft/core/base/printable.h"

#include <gtest/gtest.h>

namespace graft {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[31mb\nc\td\r\x7f"), "a\\x1b[31mb\\x0ac\\x09d\\x0d\\u007f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\u009b31m");  // C1's CSI
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "evil"),
            "\\u202eevil");  // right to left
  EXPECT_EQ(printable("\xe2\x81\xa6\xe2\x80\xa8\xd8\x9c"), "\\u2066\\u2028\\u061c");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Printable, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\xff\xfe\x80"
                      "bad"),
            "\\xff\\xfe\\x80bad");
  EXPECT_EQ(printable("\x9b"
                      "31m"),
            "\\x9b31m");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                             // cut
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // too long a form
  EXPECT_EQ(printable("\xe0\x9b\x9b"), "\\xe0\\x9b\\x9b");           // the same, of three bytes
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past the last
}

TEST(Printable, KnowsUtf8) {
  for (const char* text : {"", "plain\n", "\xc3\xa4", "\xf0\x9f\x90\x9d", "\xe2\x80\xae"})
    EXPECT_TRUE(is_utf8(text)) << text;
  for (const char* text : {"\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(Printable, LeavesTextAlone) {
  for (const char* text :
       {"", "layer1.0.conv1.weight", "\xc3\xa4 \xc3\xb6 \xe6\x97\xa5\xe6\x9c\xac", "<b>&amp;",
        "C:\\photos\\x1b", "\xf0\x9f\x90\x9d"})
    EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable("two\nlines\t\x01", "\n\t"), "two\nlines\t\\x01");
}

TEST(Printable, EveryCharacterIsItsOwnPrintableForm) {
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b), 'x'};
      const std::string once = printable(text);
      EXPECT_EQ(printable(once), once);
      for (const char c : once) EXPECT_FALSE(static_cast<unsigned char>(c) < ' ' || c == 0x7f);
    }
}

}  // namespace
}  // namespace graft
