// Fresh certificates for the tests of TLS, made once a run by tests/support/certificates.py and certificate_matrix.py
// (which run openssl) in a folder that goes with the process. Nothing that expires is ever committed.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace dotrelay::test {

class Certificates {
 public:
  static const Certificates& get() {
    static const Certificates certificates;
    return certificates;
  }

  /// "good.chain", "good.key", "test-ca.pem": a file of CertificateStore.
  [[nodiscard]] std::string path(const std::string& file) const { return folder_ + "/" + file; }

  ~Certificates() { std::filesystem::remove_all(folder_); }

 private:
  Certificates() {
    char pattern[] = "/tmp/dotrelay-certificates-XXXXXX";
    if (mkdtemp(pattern) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    const std::string command = "/usr/bin/python3 -B -c \"import sys; sys.path.insert(0, '" DOTRELAY_TESTS_FOLDER
                                "'); from support.certificates import CertificateStore as Store; Store('" +
                                folder_ + "'); from support.certificate_matrix import Matrix; Matrix('" + folder_ +
                                "')\"";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl could not make certificates");
  }

  std::string folder_;
};

}  // namespace dotrelay::test
