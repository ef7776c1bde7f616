/* score.h -- one song after another scored, and the table of it all; see tests/tools/accuracy.c.
 *
 * Each metric keeps, for each song, what is right and what there was: the score is the one sum over the other, and the
 * interval comes from drawing songs anew.
 *
 * Owner: one table a process. Fails: never; a song that can't be read or is refused by the analysis counts as all
 * wrong, and is named on stderr.
 */
#ifndef CT_ACCURACY_SCORE_H
#define CT_ACCURACY_SCORE_H

void accuracy_song(const char *data, int song);
void accuracy_tune(const char *folder, const char *name);
void accuracy_print(void);

#endif
