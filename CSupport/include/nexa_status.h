/* What the C core of the storage engine answers. Zero is success; data never makes a function abort. */
#ifndef NEXA_STATUS_H
#define NEXA_STATUS_H

typedef enum nexa_status {
    NEXA_OK = 0,
    /* The bytes are not what their format says. */
    NEXA_CORRUPT = 1,
    /* The memory that the caller gave does not hold the result. */
    NEXA_NO_SPACE = 2,
    /* The arena is full: nothing was changed. */
    NEXA_FULL = 3,
    /* An argument is beyond a limit of the format. */
    NEXA_TOO_LARGE = 4,
    /* Entries were not added in internal order. */
    NEXA_OUT_OF_ORDER = 5,
    /* The system refused memory. */
    NEXA_NO_MEMORY = 6
} nexa_status;

#endif
