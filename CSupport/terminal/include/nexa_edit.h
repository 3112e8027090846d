/* Lines typed at a terminal, edited by libedit. The library is loaded when the editor is opened: the binary starts without it.
 * One editor a process, confined to one thread, because libedit speaks to the one terminal. */
#ifndef NEXA_EDIT_H
#define NEXA_EDIT_H

#include <stddef.h>

typedef struct nexa_edit nexa_edit;

/* Called at the Tab key with the text in front of the cursor. May call nexa_edit_insert and nexa_edit_show. */
typedef void (*nexa_edit_complete)(void *context, nexa_edit *edit, const char *before);

enum {
    NEXA_EDIT_LINE,
    /* SIGINT came (it must be among those that nexa_signal_catch caught): what was typed is given up. */
    NEXA_EDIT_INTERRUPTED,
    NEXA_EDIT_ENDED,
};

/* NULL where libedit is not installed or the terminal cannot move its cursor. `interrupt` is nexa_signal_catch's descriptor. */
nexa_edit *nexa_edit_open(const char *program, int interrupt, int history_max, nexa_edit_complete complete, void *context);

/* Gives the terminal back as it was. */
void nexa_edit_close(nexa_edit *edit);

/* Reads a line. `*line`, without its end, is valid until the next call. */
int nexa_edit_line(nexa_edit *edit, const char *prompt, const char **line);

/* Keeps a line for the arrow keys and the search. */
void nexa_edit_remember(nexa_edit *edit, const char *line);

/* Puts text at the cursor. */
void nexa_edit_insert(nexa_edit *edit, const char *text);

/* Prints text below the line, which is then drawn again under it. */
void nexa_edit_show(nexa_edit *edit, const char *text);

#endif
