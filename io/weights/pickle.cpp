// Opcodes follow CPython's Lib/pickletools.py. Values live in one array and refer to each other by
// index, so that shared and even cyclic structures cost nothing and are never walked here.
#include "graft/io/weights/pickle.h"

#include <algorithm>
#include <bit>

#include "graft/io/weights/pickle_globals.h"

namespace graft::io {
namespace {

struct EndOfInput {};  // never leaves this file

class Machine {
 public:
  Machine(std::span<const std::byte> input, const ReadLimits& limits, MemoryBudget& budget)
      : input_(input), limits_(limits), budget_(budget) {}

  Pickle run() {
    while (true) {
      const auto opcode = static_cast<unsigned char>(std::to_integer<int>(take(1)[0]));
      if (opcode == '.') break;
      if (!run_constant(opcode) && !run_container(opcode) && !run_memory(opcode) &&
          !run_object(opcode))
        bad_input("has the pickle opcode ", static_cast<int>(opcode), ", which plain data has not");
    }
    pickle_.root = pop();
    GRAFT_CHECK(stack_.empty() && marks_.empty(), "its pickle is damaged: values are left over");
    pickle_.bytes = static_cast<int64_t>(position_);
    return std::move(pickle_);
  }

 private:
  // -- input
  std::span<const std::byte> take(uint64_t count) {
    if (count > input_.size() - position_) throw EndOfInput{};
    const auto part = input_.subspan(position_, count);
    position_ += count;
    return part;
  }
  template <class T>
  T number() {
    return load<T>(take(sizeof(T)));
  }
  std::string_view text(uint64_t count) {
    GRAFT_CHECK(count <= static_cast<uint64_t>(limits_.pickle_bytes), "its pickle has a text of ",
                count, " bytes");
    const auto part = take(count);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  std::string_view line() {
    const auto* begin = reinterpret_cast<const char*>(input_.data());
    const std::string_view rest(begin + position_, input_.size() - position_);
    const size_t end = rest.find('\n');
    GRAFT_CHECK((end == std::string_view::npos ? rest.size() : end) <= 1000,
                "its pickle has an overlong line");
    if (end == std::string_view::npos) throw EndOfInput{};
    position_ += end + 1;
    return rest.substr(0, end);
  }

  // -- values and stack
  PickleValue& value(uint32_t index) { return pickle_.values[index]; }
  PickleValue& push_new(PickleKind kind) {
    budget_.charge(sizeof(PickleValue));
    push(static_cast<uint32_t>(pickle_.values.size()));
    PickleValue& made = pickle_.values.emplace_back();
    made.kind = kind;
    return made;
  }
  void push(uint32_t index) {
    GRAFT_CHECK(static_cast<int64_t>(stack_.size()) < limits_.pickle_stack,
                "its pickle's stack grows beyond the limit");
    stack_.push_back(index);
  }
  uint32_t pop() {
    GRAFT_CHECK(stack_.size() > floor(), "its pickle is damaged: the stack is empty");
    const uint32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }
  uint32_t top() {
    GRAFT_CHECK(stack_.size() > floor(), "its pickle is damaged: the stack is empty");
    return stack_.back();
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<uint32_t> pop_to_mark() {
    GRAFT_CHECK(!marks_.empty(), "its pickle is damaged: a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    budget_.charge(static_cast<int64_t>(items.size() * sizeof(uint32_t)));
    return items;
  }
  void push_tuple(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    budget_.charge(static_cast<int64_t>(count * sizeof(uint32_t)));
    push_new(PickleKind::tuple).items = std::move(items);
  }
  void push_integer(int64_t number) { push_new(PickleKind::integer).integer = number; }
  void push_long(uint64_t count) {  // little-endian two's complement
    GRAFT_CHECK(count <= 1000, "its pickle has a number of ", count, " bytes");
    const std::string_view digits = text(count);
    if (count > 8) {
      push_new(PickleKind::big_integer).text = digits;
      return;
    }
    uint64_t number = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = count; i-- > 0;) number = number << 8 | static_cast<unsigned char>(digits[i]);
    push_integer(static_cast<int64_t>(number));
  }

  // -- opcodes; each returns false when the opcode is not of its kind
  bool run_constant(unsigned char opcode) {
    switch (opcode) {
      case 'N': push_new(PickleKind::none); return true;
      case 0x88:
      case 0x89: push_new(PickleKind::boolean).integer = opcode == 0x88; return true;
      case 'J': push_integer(number<int32_t>()); return true;
      case 'K': push_integer(number<uint8_t>()); return true;
      case 'M': push_integer(number<uint16_t>()); return true;
      case 0x8a: push_long(number<uint8_t>()); return true;
      case 0x8b: push_long(number<uint32_t>()); return true;
      case 'G': {
        const uint64_t big_endian = number<uint64_t>();
        push_new(PickleKind::real).real = std::bit_cast<double>(__builtin_bswap64(big_endian));
        return true;
      }
      case 'X': push_text(PickleKind::text, number<uint32_t>()); return true;
      case 0x8c: push_text(PickleKind::text, number<uint8_t>()); return true;
      case 0x8d: push_text(PickleKind::text, number<uint64_t>()); return true;
      case 'U': push_text(PickleKind::text, number<uint8_t>()); return true;  // Python 2's str
      case 'T': push_text(PickleKind::text, number<uint32_t>()); return true;
      case 'C': push_text(PickleKind::bytes, number<uint8_t>()); return true;
      case 'B': push_text(PickleKind::bytes, number<uint32_t>()); return true;
      case 0x8e:
      case 0x96: push_text(PickleKind::bytes, number<uint64_t>()); return true;
      default: return false;
    }
  }
  void push_text(PickleKind kind, uint64_t count) {
    const std::string_view content = text(count);
    push_new(kind).text = content;
  }

  bool run_container(unsigned char opcode) {
    switch (opcode) {
      case '}': push_new(PickleKind::dict); return true;
      case ']': push_new(PickleKind::list); return true;
      case ')': push_new(PickleKind::tuple); return true;
      case 0x8f: push_new(PickleKind::set); return true;
      case '(':
        marks_.push_back(stack_.size());
        check_marks();
        return true;
      case 't': {
        std::vector<uint32_t> items = pop_to_mark();
        push_new(PickleKind::tuple).items = std::move(items);
        return true;
      }
      case 0x85: push_tuple(1); return true;
      case 0x86: push_tuple(2); return true;
      case 0x87: push_tuple(3); return true;
      case 'a': {
        const uint32_t item = pop();
        append(PickleKind::list, {item});
        return true;
      }
      case 'e': append(PickleKind::list, pop_to_mark()); return true;
      case 0x90: append(PickleKind::set, pop_to_mark()); return true;
      case 's': {
        const uint32_t item = pop(), key = pop();
        append(PickleKind::dict, {key, item});
        return true;
      }
      case 'u': append(PickleKind::dict, pop_to_mark()); return true;
      default: return false;
    }
  }
  void check_marks() const {
    GRAFT_CHECK(static_cast<int64_t>(marks_.size()) <= limits_.pickle_stack,
                "its pickle's stack grows beyond the limit");
  }
  // CVE-2026-24747: items go only into a container of the right kind.
  void append(PickleKind kind, const std::vector<uint32_t>& items) {
    PickleValue& target = value(top());
    if (target.kind == PickleKind::object && kind != PickleKind::dict) return;  // of no use here
    GRAFT_CHECK((target.kind == kind || target.kind == PickleKind::object) &&
                    (kind != PickleKind::dict || items.size() % 2 == 0),
                "its pickle is damaged: items are added to a value of another kind");
    budget_.charge(static_cast<int64_t>(items.size() * 2 * sizeof(uint32_t)));
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  bool run_memory(unsigned char opcode) {
    switch (opcode) {
      case 'q': put(number<uint8_t>()); return true;
      case 'r': put(number<uint32_t>()); return true;
      case 0x94: put(memo_.size()); return true;
      case 'h': get(number<uint8_t>()); return true;
      case 'j': get(number<uint32_t>()); return true;
      case '0': pop_or_mark(); return true;
      case '1': pop_to_mark(); return true;
      case '2': push(top()); return true;
      case 0x80: {
        const int protocol = number<uint8_t>();
        GRAFT_CHECK(protocol >= 2 && protocol <= 5, "has pickle protocol ", protocol,
                    ", 2 to 5 are known");
        return true;
      }
      case 0x95: number<uint64_t>(); return true;  // a frame's length: a hint to readers
      default: return false;
    }
  }
  void pop_or_mark() {
    if (!marks_.empty() && marks_.back() == stack_.size())
      marks_.pop_back();
    else
      pop();
  }
  static constexpr uint32_t unset = ~uint32_t{0};
  void put(size_t index) {
    // Writers count up, and every value takes a byte at least: an index beyond the bytes read only
    // asks for memory.
    GRAFT_CHECK(static_cast<int64_t>(index) < limits_.pickle_memo && index <= position_,
                "its pickle remembers more than the limit");
    if (index >= memo_.size()) {
      budget_.charge(static_cast<int64_t>((index + 1 - memo_.size()) * 2 * sizeof(uint32_t)));
      memo_.resize(index + 1, unset);
    }
    memo_[index] = top();
  }
  void get(size_t index) {
    GRAFT_CHECK(index < memo_.size() && memo_[index] != unset,
                "its pickle is damaged: it recalls what it never stored");
    push(memo_[index]);
  }

  bool run_object(unsigned char opcode) {
    switch (opcode) {
      case 'c': {
        const std::string_view module = line(), name = line();
        push_global(module, name);
        return true;
      }
      case 0x93: {
        const uint32_t name = pop(), module = pop();
        GRAFT_CHECK(value(name).kind == PickleKind::text && value(module).kind == PickleKind::text,
                    "its pickle is damaged: a global name is not a text");
        push_global(value(module).text, value(name).text);
        return true;
      }
      case 'Q': push_storage(pop()); return true;
      case 'R':
      case 0x81: {
        const uint32_t arguments = pop(), callee = pop();
        construct(callee, arguments);
        return true;
      }
      case 0x92: {  // NEWOBJ_EX: with arguments by name
        pop();
        const uint32_t arguments = pop(), callee = pop();
        construct(callee, arguments);
        return true;
      }
      case 'b': set_state(); return true;
      default: return false;
    }
  }
  void push_global(std::string_view module, std::string_view name) {
    constexpr size_t most_named = 64;
    const int64_t index = find_pickle_global(module, name);
    push_new(PickleKind::global).integer = index;
    if (index != kForeignGlobal || pickle_.foreign.size() >= most_named) return;
    std::string text = printable_global(module, name);
    auto& known = pickle_.foreign;
    if (std::find(known.begin(), known.end(), text) == known.end())
      known.push_back(std::move(text));
  }
  void push_storage(uint32_t id) {
    const std::vector<uint32_t>& items = value(id).items;
    // PyTorch before 1.6 named a module's class so, with its source code.
    if (value(id).kind == PickleKind::tuple && items.size() == 4 &&
        value(items[0]).kind == PickleKind::text && value(items[0]).text == "module")
      return push(items[1]);
    const bool is_storage =
        value(id).kind == PickleKind::tuple && (items.size() == 5 || items.size() == 6) &&
        value(items[0]).kind == PickleKind::text && value(items[0]).text == "storage";
    GRAFT_CHECK(is_storage, "its pickle refers to something other than a tensor's storage");
    std::vector<uint32_t> fields(items.begin() + 1, items.end());
    push_new(PickleKind::storage).items = std::move(fields);
  }
  // What REDUCE and NEWOBJ would call in Python: here a rule that builds data.
  void construct(uint32_t callee, uint32_t arguments) {
    const PickleKind called = value(callee).kind;
    GRAFT_CHECK((called == PickleKind::global || called == PickleKind::object) &&
                    value(arguments).kind == PickleKind::tuple,
                "its pickle is damaged: it calls a value that is no global name");
    if (called == PickleKind::object || value(callee).integer == kForeignGlobal)
      return construct_object(arguments);
    const PickleGlobal& global = pickle_global(value(callee).integer);
    const std::vector<uint32_t> items =
        value(arguments).items.size() <= 16 ? value(arguments).items : std::vector<uint32_t>(17);
    switch (global.rule) {
      case GlobalRule::ordered_dict: return construct_dict(items, 0);
      case GlobalRule::dictionary:
        return construct_dict(items, global.name == "defaultdict" ? 1 : 0);
      case GlobalRule::set: push_new(PickleKind::set); return;
      case GlobalRule::size:
        GRAFT_CHECK(items.size() == 1 && value(items[0]).kind == PickleKind::tuple,
                    "its pickle has a damaged torch.Size");
        return push(items[0]);
      case GlobalRule::parameter:
        GRAFT_CHECK(!items.empty() && value(items[0]).kind == PickleKind::tensor,
                    "its pickle has a damaged parameter");
        return push(items[0]);
      case GlobalRule::tensor_v1: return construct_tensor(items, 1, 4);
      case GlobalRule::tensor_v2: return construct_tensor(items, 2, 6);
      case GlobalRule::tensor_v3: return construct_tensor(items, 3, 7);
      case GlobalRule::array: push_new(PickleKind::array); return;
      case GlobalRule::array_of_buffer: {  // data, element, shape, order
        GRAFT_CHECK(items.size() == 4, "its pickle has a damaged array");
        const bool fortran = value(items[3]).text == "F";
        push_new(PickleKind::boolean).integer = fortran;
        const uint32_t order = pop();
        push_new(PickleKind::array).items = {items[2], items[1], order, items[0]};
        return;
      }
      case GlobalRule::array_element: {
        GRAFT_CHECK(!items.empty(), "its pickle has a damaged array");
        const std::string_view code = value(items[0]).text;
        push_new(PickleKind::element).text = code;
        return;
      }
      case GlobalRule::encoding: {
        const bool latin = items.size() == 2 && value(items[0]).kind == PickleKind::text &&
                           value(items[1]).text.starts_with("latin");
        const std::string_view characters = latin ? value(items[0]).text : std::string_view();
        push_new(latin ? PickleKind::encoded : PickleKind::inert).text = characters;
        return;
      }
      case GlobalRule::inert: push_new(PickleKind::inert); return;
      case GlobalRule::storage_type:
      case GlobalRule::element_type: break;
    }
    bad_input("its pickle calls ", global.module, ".", global.name, ", which data does not");
  }
  // What code would have made is its arguments' dictionaries, and later its state's.
  void construct_object(uint32_t arguments) {
    std::vector<uint32_t> items;
    for (const uint32_t argument : value(arguments).items)
      if (value(argument).kind == PickleKind::dict) add_items(items, argument);
    push_new(PickleKind::object).items = std::move(items);
  }
  void add_items(std::vector<uint32_t>& items, uint32_t from) {
    const std::vector<uint32_t>& more = value(from).items;
    budget_.charge(static_cast<int64_t>(more.size() * 2 * sizeof(uint32_t)));
    items.insert(items.end(), more.begin(), more.end());
  }
  void construct_tensor(const std::vector<uint32_t>& items, int version, size_t least) {
    GRAFT_CHECK(items.size() >= least && items.size() <= 16, "its pickle has a tensor with ",
                items.size(), " fields");
    budget_.charge(static_cast<int64_t>(items.size() * sizeof(uint32_t)));
    PickleValue& tensor = push_new(PickleKind::tensor);
    tensor.integer = version;
    tensor.items = items;
  }
  // A dict from nothing, another dict or a list of pairs, at argument `first`.
  void construct_dict(const std::vector<uint32_t>& arguments, size_t first) {
    std::vector<uint32_t> items;
    if (arguments.size() > first) {
      const PickleValue& source = value(arguments[first]);
      budget_.charge(static_cast<int64_t>(source.items.size() * 2 * sizeof(uint32_t)));
      if (source.kind == PickleKind::dict) {
        items = source.items;
      } else {
        GRAFT_CHECK(source.kind == PickleKind::list, "its pickle has a damaged dictionary");
        for (const uint32_t pair : source.items) {
          GRAFT_CHECK(value(pair).items.size() == 2, "its pickle has a damaged dictionary");
          items.insert(items.end(), value(pair).items.begin(), value(pair).items.end());
        }
      }
    }
    push_new(PickleKind::dict).items = std::move(items);
  }
  // BUILD: attributes, such as a state dict's _metadata. Only an unknown object's matter here: a
  // dict, or a pair of two.
  void set_state() {
    const uint32_t state = pop();
    if (value(top()).kind == PickleKind::object) {
      std::vector<uint32_t> items = value(top()).items;
      if (value(state).kind == PickleKind::dict) add_items(items, state);
      if (value(state).kind == PickleKind::tuple && value(state).items.size() == 2)
        for (const uint32_t part : value(state).items)
          if (value(part).kind == PickleKind::dict) add_items(items, part);
      value(top()).items = std::move(items);
      return;
    }
    const PickleKind kind = value(top()).kind;
    const std::vector<uint32_t>& parts = value(state).items;
    if (kind == PickleKind::array) {  // version, shape, element, fortran order, data
      GRAFT_CHECK(value(state).kind == PickleKind::tuple && parts.size() == 5,
                  "its pickle has a damaged array");
      budget_.charge(static_cast<int64_t>(4 * sizeof(uint32_t)));
      std::vector<uint32_t> items(parts.begin() + 1, parts.end());
      value(top()).items = std::move(items);
      return;
    }
    if (kind == PickleKind::element) {  // version, byte order, ...
      if (parts.size() >= 2) value(top()).integer = value(parts[1]).text == ">";
      return;
    }
    GRAFT_CHECK(kind == PickleKind::dict || kind == PickleKind::tensor ||
                    kind == PickleKind::inert || kind == PickleKind::set,
                "its pickle is damaged: it sets the state of a plain value");
  }

  std::span<const std::byte> input_;
  size_t position_ = 0;
  const ReadLimits& limits_;
  MemoryBudget& budget_;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;  // stack heights
  std::vector<uint32_t> memo_;
};

}  // namespace

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  for (size_t i = dict.items.size(); i >= 2; i -= 2)
    if (at(dict.items[i - 2]).kind == PickleKind::text && at(dict.items[i - 2]).text == key)
      return &at(dict.items[i - 1]);
  return nullptr;
}

std::optional<Pickle> parse_pickle(std::span<const std::byte> bytes, const ReadLimits& limits,
                                   MemoryBudget& budget) {
  try {
    return Machine(bytes, limits, budget).run();
  } catch (const EndOfInput&) {
    return std::nullopt;
  }
}

}  // namespace graft::io
