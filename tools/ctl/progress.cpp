#include "tools/ctl/progress.hpp"

#include <algorithm>
#include <cmath>

#include "tools/ctl/text.hpp"

namespace tern::ctl {
namespace {
constexpr size_t bar_width = 20;
}

void progress::update(uint64_t left, clock::time_point now, std::string note) {
  if (!known_) all_ = left;
  known_ = true;
  all_ = std::max(all_, left);
  left_ = left;
  now_ = now;
  note_ = std::move(note);
}

double progress::part() const {
  return all_ == 0 ? 1 : static_cast<double>(all_ - left_) / static_cast<double>(all_);
}

double progress::rate() const {
  const std::chrono::duration<double> took = now_ - began_;
  return took.count() <= 0 ? 0 : static_cast<double>(all_ - left_) / took.count();
}

std::optional<std::chrono::milliseconds> progress::remaining() const {
  if (left_ == 0) return std::chrono::milliseconds{0};
  const double per_second = rate();
  if (per_second <= 0) return std::nullopt;
  return std::chrono::milliseconds(std::llround(1000 * static_cast<double>(left_) / per_second));
}

std::string progress::line() const {
  const double done = part();
  const auto full = static_cast<size_t>(done * bar_width);
  // Rounded down: 100 % is when nothing is left.
  const auto percent = std::to_string(static_cast<int>(done * 100));
  std::string text = what_ + "  [" + std::string(full, '#') + std::string(bar_width - full, '.') + "]  " +
                     std::string(3 - std::min<size_t>(percent.size(), 3), ' ') + percent + " %  " +
                     grouped(all_ - left_) + " of " + grouped(all_) + " " + unit_;
  if (rate() > 0) text += "  " + grouped(static_cast<uint64_t>(std::llround(rate()))) + "/s";
  if (left_ > 0) {
    const auto more = remaining();
    text += more ? "  " + age(more->count()) + " left" : "  waiting";
  }
  return note_.empty() ? text : text + "  " + note_;
}

void screen::show(const std::string& text) {
  if (!terminal_) {
    if (text != last_) std::fputs(text.c_str(), out_);
    last_ = text;
  } else {
    if (lines_ > 0) std::fprintf(out_, "\x1b[%zuA\r\x1b[J", lines_);
    std::fputs(text.c_str(), out_);
    lines_ = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  std::fflush(out_);
}

}  // namespace tern::ctl
