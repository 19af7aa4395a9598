// functional::einsum: diagonals, sums of letters that nobody else has, then matmul of two operands
// at a time.
#include <algorithm>
#include <map>
#include <string>

#include "graft/kernels/ops/reduce.h"
#include "graft/layers/functional/axes.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"

namespace graft::functional {
namespace {

// An operand and the letter of each of its axes. The axes of "..." have the letters '0', '1', ...
// from the right.
struct Lettered {
  Tensor tensor;
  std::string letters;
  int axis_of(char letter) const { return static_cast<int>(letters.find(letter)); }
  bool has(char letter) const { return letters.find(letter) != std::string::npos; }
  int64_t extent(char letter) const { return tensor.shape()[axis_of(letter)]; }
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string without_blanks(std::string_view text) {
  std::string result;
  for (const char c : text)
    if (c != ' ') result += c;
  return result;
}

// The letters of one term, its "..." spelled out for `ellipsis` axes.
std::string letters_of(const std::string& term, int ellipsis) {
  std::string letters;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term.compare(i, 3, "...") == 0) {
      for (int axis = ellipsis; axis-- > 0;) letters += static_cast<char>('0' + axis);
      i += 2;
    } else {
      GRAFT_CHECK(is_letter(term[i]), "einsum: '", std::string(1, term[i]), "' in '", term, "'");
      letters += term[i];
    }
  }
  return letters;
}

// Repeated letters of an operand become one axis, its diagonal.
Lettered with_diagonals(Lettered operand) {
  for (size_t first = 0; first < operand.letters.size(); ++first) {
    const size_t second = operand.letters.find(operand.letters[first], first + 1);
    if (second == std::string::npos) continue;
    const Shape& shape = operand.tensor.shape();
    const auto a = static_cast<int>(first), b = static_cast<int>(second);
    const int64_t extent = shape[a];
    GRAFT_CHECK(shape[b] == extent, "einsum: letter ", std::string(1, operand.letters[first]),
                " is ", extent, " and ", shape[b]);
    // Both axes first, then the pairs (i, i).
    std::vector<int> order{a, b};
    std::string letters(1, operand.letters[first]);
    for (int axis = 0; axis < shape.rank(); ++axis)
      if (axis != a && axis != b)
        order.push_back(axis), letters += operand.letters[static_cast<size_t>(axis)];
    Tensor places = Tensor::empty({extent, 2}, {.dtype = DType::i64});
    for (int64_t i = 0; i < 2 * extent; ++i) places.mutable_data<int64_t>()[i] = i / 2;
    operand = with_diagonals({gather_nd(transpose(operand.tensor, order), places), letters});
    break;
  }
  return operand;
}

// Sums over the letters that `keep` lacks.
Lettered summed(const Lettered& operand, const std::string& keep) {
  ops::ReduceAttributes sum{ops::Reduce::sum};
  std::string letters;
  for (const char letter : operand.letters) {
    if (keep.find(letter) == std::string::npos)
      sum.axes.push_back(operand.axis_of(letter));
    else
      letters += letter;
  }
  return sum.axes.empty() ? operand : Lettered{reduce(operand.tensor, sum), letters};
}

// Axes in the order of `letters`; one that the operand lacks is added with extent 1.
Tensor arranged(const Lettered& operand, const std::string& letters) {
  std::vector<int> order, added;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (operand.has(letters[i]))
      order.push_back(operand.axis_of(letters[i]));
    else
      added.push_back(static_cast<int>(i));
  }
  const Tensor ordered = order.size() > 1 ? transpose(operand.tensor, order) : operand.tensor;
  return added.empty() ? ordered : unsqueeze(ordered, added);
}

Shape joined(const Tensor& x, size_t batch, size_t middle) {
  const int b = static_cast<int>(batch), m = b + static_cast<int>(middle);
  std::vector<int64_t> extents(x.shape().begin(), x.shape().begin() + b);
  extents.push_back(x.shape().product(b, m));
  extents.push_back(x.shape().product(m, x.rank()));
  return Shape(std::span<const int64_t>(extents));
}

// Two operands into one with the letters of either that `keep` has.
Lettered contracted(const Lettered& a, const Lettered& b, const std::string& keep) {
  std::string batch, left, right, inner;
  for (const char letter : a.letters) {
    const bool shared = b.has(letter), kept = keep.find(letter) != std::string::npos;
    // An ellipsis axis of 1 stretches, so it is never contracted through a matrix product.
    if (shared)
      (kept || a.extent(letter) != b.extent(letter) ? batch : inner) += letter;
    else
      left += letter;
  }
  for (const char letter : b.letters)
    if (!a.has(letter)) right += letter;
  const Tensor ta = arranged(a, batch + left + inner), tb = arranged(b, batch + inner + right);
  const Tensor y = matmul(reshape(ta, joined(ta, batch.size(), left.size())),
                          reshape(tb, joined(tb, batch.size(), inner.size())));
  std::vector<int64_t> extents(y.shape().begin(),
                               y.shape().begin() + static_cast<int>(batch.size()));
  for (const char letter : left) extents.push_back(a.extent(letter));
  for (const char letter : right) extents.push_back(b.extent(letter));
  return {reshape(y, Shape(std::span<const int64_t>(extents))), batch + left + right};
}

struct Equation {
  std::vector<std::string> terms;
  std::string result;  // letters
};

// Splits the text and spells out "..."; a result that is not written holds the letters that occur
// once.
Equation parsed(std::string_view text, std::span<const Tensor> operands) {
  const std::string equation = without_blanks(text);
  const size_t arrow = equation.find("->");
  const std::string left = equation.substr(0, arrow);
  Equation result;
  for (size_t begin = 0; begin <= left.size();) {
    const size_t end = std::min(left.find(',', begin), left.size());
    result.terms.push_back(left.substr(begin, end - begin));
    begin = end + 1;
  }
  GRAFT_CHECK(result.terms.size() == operands.size() && !operands.empty(), "einsum: '", equation,
              "' for ", operands.size(), " operands");
  int most = 0;
  std::map<char, int> occurrences;
  for (size_t i = 0; i < operands.size(); ++i) {
    std::string& term = result.terms[i];
    const bool dots = term.find("...") != std::string::npos;
    const int named = static_cast<int>(term.size()) - (dots ? 3 : 0), rank = operands[i].rank();
    GRAFT_CHECK(dots ? named <= rank : named == rank, "einsum: '", term, "' for ",
                operands[i].shape());
    most = std::max(most, rank - named);
    term = letters_of(term, rank - named);
    for (const char letter : term) ++occurrences[letter];
  }
  if (arrow != std::string::npos) {
    result.result = letters_of(equation.substr(arrow + 2), most);
    for (const char letter : result.result)
      GRAFT_CHECK(occurrences.contains(letter) &&
                      std::count(result.result.begin(), result.result.end(), letter) == 1,
                  "einsum: the result of '", equation, "' names ", std::string(1, letter),
                  " twice or out of nothing");
    return result;
  }
  result.result = letters_of("...", most);
  for (const auto& [letter, count] : occurrences)
    if (is_letter(letter) && count == 1) result.result += letter;
  return result;
}

}  // namespace

Tensor einsum(std::string_view equation, std::span<const Tensor> operands) {
  const Equation plan = parsed(equation, operands);
  std::map<char, int64_t> extents;
  std::vector<Lettered> rest;
  for (size_t i = 0; i < operands.size(); ++i) {
    rest.push_back(with_diagonals({operands[i], plan.terms[i]}));
    for (const char letter : rest.back().letters) {
      int64_t& known = extents.try_emplace(letter, rest.back().extent(letter)).first->second;
      const int64_t extent = rest.back().extent(letter);
      GRAFT_CHECK(known == extent || known == 1 || extent == 1, "einsum: letter ",
                  std::string(1, letter), " is ", known, " and ", extent);
      if (known == 1) known = extent;
    }
  }
  Lettered result = std::move(rest[0]);
  for (size_t i = 1; i <= rest.size(); ++i) {
    std::string keep = plan.result;  // what is still needed after this step
    for (size_t later = i; later < rest.size(); ++later) keep += rest[later].letters;
    result = summed(result, keep);
    if (i == rest.size()) break;
    std::string kept_by_others = plan.result + result.letters;
    for (size_t later = i + 1; later < rest.size(); ++later) kept_by_others += rest[later].letters;
    std::string after = plan.result;
    for (size_t later = i + 1; later < rest.size(); ++later) after += rest[later].letters;
    result = contracted(result, summed(rest[i], kept_by_others), after);
  }
  return arranged(result, plan.result);
}

}  // namespace graft::functional
