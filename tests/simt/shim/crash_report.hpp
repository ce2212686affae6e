// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace simt {

void report_crashes(); // on SIGSEGV, say which thread of which block it was; once per process

} // namespace simt
