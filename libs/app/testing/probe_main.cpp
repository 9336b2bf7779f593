// A program with one service that does as its options say: what run_main() is tested with.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "libs/app/main.hpp"
#include "libs/config/schema.hpp"

namespace {

using namespace tern;

struct probe_config {
  std::string trouble = "none";
  std::string directory = "nowhere";
  std::string token;
};

class probe_service final : public app::service {
 public:
  probe_service(app::context& around, const probe_config& config) : around_(around), config_(config) {}
  std::string name() const override { return "probe"; }

  result<void> start() override {
    if (config_.trouble == "start") return error{errc::unavailable, "the database is away"};
    around_.health.set_ready("probe", config_.trouble != "unready", "as asked");
    if (config_.trouble == "fatal") around_.fatal("disk gone");
    return {};
  }
  void drain(std::chrono::milliseconds limit) override {
    if (config_.trouble != "drain") return;
    std::unique_lock hold{lock_};
    never_.wait_for(hold, limit, [] { return false; });
  }
  void stop() override {}

 private:
  app::context& around_;
  const probe_config& config_;
  std::mutex lock_;
  std::condition_variable never_;
};

}  // namespace

int main(int argc, char** argv) {
  probe_config config;
  app::program what;
  what.name = "tern-probe";
  what.summary = "tests of libs/app";
  what.links = app::links::local;
  what.services.push_back({"probe",
                           [&](config::schema& into) {
                             into.add_choice("probe.trouble", config.trouble,
                                             {"none", "start", "unready", "fatal", "drain", "check"},
                                             "what goes wrong");
                             into.add_secret("probe.token", config.token, "a secret", false);
                           },
                           [&]() -> std::vector<std::string> {
                             return config.trouble == "check"
                                        ? std::vector<std::string>{"probe.trouble: does not go with the rest"}
                                        : std::vector<std::string>{};
                           },
                           [&](app::context& around) { return std::make_unique<probe_service>(around, config); }});
  what.declare = [&](config::schema& into) { into.add("program.directory", config.directory, "where it all lies"); };
  what.flags.push_back({"data-dir", "DIR", "program.directory", "directory of all data"});
  what.defaults = {{"log.format", "json"}, {"metrics.listen_address", ""}};
  what.prepare = [&](config::schema&, bool) -> result<void> {
    return config.directory == "/forbidden" ? result<void>{error{errc::config, "program.directory: forbidden"}}
                                            : result<void>{};
  };
  return app::run_main(argc, argv, what);
}
