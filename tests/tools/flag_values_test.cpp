// Every flag of every verb refuses what it cannot mean, in one sentence. The list is the command's
// own: a flag that is added without a range fails here.
#include "graft/tools/flag_values.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <set>

#include "graft/tools/command_line.h"

namespace graft::tools {
namespace {

struct Grammar {
  CLI::App app;
  Action action;
  Grammar() { add_verbs(app, action); }
};

ReadLine read_line(const std::vector<std::string>& words) {
  Grammar grammar;
  std::vector<const char*> argv{"graft"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return read_command_line(grammar.app, static_cast<int>(argv.size()), argv.data());
}

struct ValuedOption {
  std::string verb, name, type;  // name: "--seed", or a positional's
  bool is_positional = false;
  int before = 0;  // positionals in front of it
};

std::vector<ValuedOption> valued_options() {
  std::vector<ValuedOption> all;
  Grammar grammar;
  for (const CLI::App* verb : grammar.app.get_subcommands({})) {
    int positionals = 0;
    for (const CLI::Option* option : verb->get_options()) {
      if (option->get_items_expected_max() == 0) continue;
      const std::string type = option->get_type_name();
      all.push_back({verb->get_name(), option->get_name(option->get_positional()),
                     type.substr(0, type.find(':')), option->get_positional(),
                     option->get_positional() ? positionals++ : 0});
    }
  }
  return all;
}

// "--flag=value", so that a sign in front of the value is no flag of its own.
std::vector<std::string> line_with(const ValuedOption& option, const std::string& value) {
  if (!option.is_positional) return {option.verb, option.name + "=" + value};
  std::vector<std::string> words{option.verb};
  words.insert(words.end(), static_cast<size_t>(option.before), "x");
  words.push_back(value);
  return words;
}

void expect_refused(const ValuedOption& option, const std::string& value) {
  const ReadLine read = read_line(line_with(option, value));
  EXPECT_EQ(read.code, 2) << option.verb << " " << option.name << "='" << value << "'";
  const std::string name = option.name.substr(0, option.name.find(' '));
  EXPECT_NE(read.refusal.find(name), std::string::npos) << read.refusal;
  EXPECT_EQ(read.refusal.find("is required"), std::string::npos)
      << option.verb << " " << option.name << "='" << value << "' was taken: " << read.refusal;
  EXPECT_EQ(read.refusal.find('\n'), std::string::npos) << read.refusal;
}

// What each kind of value is called in the help. A flag of a new kind needs a row here.
const std::set<std::string> kTexts = {"PATH",  "FILE",      "RUN",           "DIR",    "WHAT",
                                      "STAGE", "NAME=FILE", "TEXT",          "COLUMN", "FOLDER",
                                      "VALUE", "REGEX",     "KEY=VALUE,...", "CLASS"};
const std::set<std::string> kChoices = {"NAME",  "POLICY", "RULE", "P",   "HOW",
                                        "WHICH", "O",      "TASK", "KIND"};
const std::set<std::string> kLists = {"M,M,M", "D,D,D", "CENTRE,WIDTH"};  // of numbers
const std::set<std::string> kWhole = {"N", "K", "SIZE", "N|HxW", "K|groups"};
const std::set<std::string> kReal = {"F", "S", "SHARE", "C", "R"};

TEST(FlagValues, EveryFlagRefusesWhatItCannotMean) {
  const std::vector<ValuedOption> options = valued_options();
  ASSERT_GT(options.size(), 60u);
  for (const ValuedOption& option : options) {
    const bool whole = kWhole.contains(option.type), real = kReal.contains(option.type),
               choice = kChoices.contains(option.type);
    const bool list = kLists.contains(option.type);
    ASSERT_TRUE(whole || real || choice || list || kTexts.contains(option.type))
        << option.verb << " " << option.name << ": values of the kind '" << option.type
        << "' have no row in this test";
    for (const char* blank : {" ", "\t", "  \n "}) expect_refused(option, blank);
    if (choice) expect_refused(option, "no such choice");
    if (list)
      for (const char* wrong : {"abc", "1,x,2", "0x10z"}) expect_refused(option, wrong);
    if (!whole && !real) continue;
    for (const char* wrong :
         {"-1",    "-0.5",    "nan",  "NaN", "inf",    "-inf",
          "1e400", "-1e400",  "0x10", "0x",  "abc",    "5x",
          "1,5",   "1 2",     "--",   "+-1", "1e-400", "99999999999999999999999999",
          "1e300", "\xd9\xa1"})
      expect_refused(option, wrong);
    if (whole)
      for (const char* wrong : {"1.5", "1e2", "18446744073709551616", "0b1", "1."})
        expect_refused(option, wrong);
  }
}

// An argument that is empty, which a shell makes of an unset variable in quotes.
TEST(FlagValues, EmptyArgumentsAreRefused) {
  for (const ValuedOption& option : valued_options()) {
    const ReadLine read =
        read_line(option.is_positional ? line_with(option, "")
                                       : std::vector<std::string>{option.verb, option.name, ""});
    EXPECT_EQ(read.code, 2) << option.verb << " " << option.name;
    EXPECT_EQ(read.refusal.find("is required"), std::string::npos)
        << option.verb << " " << option.name << ": " << read.refusal;
  }
}

std::string taken_by(CLI::Validator validator, std::string text) {
  const std::string refusal = validator(text);
  return refusal.empty() ? text : "refused";
}

TEST(FlagValues, NumbersAreReadAsWritten) {
  EXPECT_EQ(taken_by(whole_number(0, 20), "010"), "10") << "not octal";
  EXPECT_EQ(taken_by(whole_number(0, 20), "20"), "20");
  EXPECT_EQ(taken_by(whole_number(0, 20), "21"), "refused");
  EXPECT_EQ(taken_by(whole_number(0, ~uint64_t{0}), "18446744073709551615"),
            "18446744073709551615");
  EXPECT_EQ(taken_by(image_sides(8, 4096), "0224"), "224");
  EXPECT_EQ(taken_by(image_sides(8, 4096), "64x192"), "64x192");
  for (const char* wrong : {"64x", "x64", "x", "64x7", "5000x64", "64x192x3", "64X192", "64 x 192"})
    EXPECT_EQ(taken_by(image_sides(8, 4096), wrong), "refused") << wrong;
  EXPECT_EQ(taken_by(real_number(0, 1), "0"), "0");
  EXPECT_EQ(taken_by(real_number_above(0, 1), "0"), "refused");
  EXPECT_EQ(taken_by(real_number_above(0, 1), "1e-3"), "0.001");
  EXPECT_EQ(taken_by(size_in_bytes(1), "512M"), "536870912");
  EXPECT_EQ(taken_by(size_in_bytes(1), "2g"), "2147483648");
  EXPECT_EQ(taken_by(size_in_bytes(1), "1KiB"), "1024");
  EXPECT_EQ(taken_by(size_in_bytes(1), "1KB"), "1024");
  EXPECT_EQ(taken_by(size_in_bytes(1), "64T"), "70368744177664");
  for (const char* wrong : {"0", "65T", "1.5G", "M", "1X", "1MM", "1iB", "999999999999999999G"})
    EXPECT_EQ(taken_by(size_in_bytes(1), wrong), "refused") << wrong;
}

}  // namespace
}  // namespace graft::tools
