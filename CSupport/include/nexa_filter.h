/* A filter as a compact program, evaluated over the bytes of documents. Sources/NexaDocuments/Filter compiles filters to programs. */
#ifndef NEXA_FILTER_H
#define NEXA_FILTER_H

#include "nexa_msgpack.h"

#endif
