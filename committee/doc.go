// Package committee decides who validates the supervision chain (R8.1): of the
// nodes that the authority has made candidates, so many hold a seat at a time,
// and seats rotate. The rules are those of rPBFT, which the source names; the
// agreement itself is the chain engine's.
//
// At the end of a block (Turn):
//
//   - a member who has missed too many of the last blocks loses its seat at once;
//   - while there are more members than seats, those who have sat longest leave;
//   - while there are fewer, candidates who wait take seats;
//   - at the end of an epoch, when all seats are taken, one member gives its seat
//     to one candidate who waits.
//
// Nobody is drawn by lot. Who has sat longest leaves and who has waited longest
// comes, and where two are alike the order in which the authority admitted them
// decides, turned by the number of the epoch. So there is no seed that a member
// could steer by what it puts into a block (ADR 0029). A candidate is given a seat
// only in answer: when a seat is to be given the chain calls (Called), and the
// block that carries the candidate's word that it has come so far gives it the
// seat. An absent one would stop a small committee.
//
// Package committee is pure and deterministic. It keeps no more than one record,
// which the host stores with the chain's state.
package committee
