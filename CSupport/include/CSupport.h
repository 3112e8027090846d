/* The C core of NexaDB. Total functions: each returns a status, never aborts on data, never allocates beyond a limit that
 * the caller gives, keeps no global state, and decides nothing about I/O. */
#ifndef NEXA_CSUPPORT_H
#define NEXA_CSUPPORT_H

#include "nexa_block.h"
#include "nexa_bloom.h"
#include "nexa_codec.h"
#include "nexa_filter.h"
#include "nexa_hash.h"
#include "nexa_key.h"
#include "nexa_lz4.h"
#include "nexa_msgpack.h"
#include "nexa_os.h"
#include "nexa_password.h"
#include "nexa_poll.h"
#include "nexa_skiplist.h"
#include "nexa_status.h"
#include "nexa_vector.h"

#endif
