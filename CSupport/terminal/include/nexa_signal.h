/* Signals as bytes of a pipe, so that whoever waits in poll(2) for something else hears of them too, whichever thread the system
 * interrupted. Process-wide; one reader. */
#ifndef NEXA_SIGNAL_H
#define NEXA_SIGNAL_H

/* From now on these signals go into the pipe. Returns the descriptor that becomes readable, or -1 when the system has none left. */
int nexa_signal_catch(const int *signals, int count);

/* The oldest signal that was not taken yet; 0 when there is none. Does not wait. */
int nexa_signal_take(void);

#endif
