/** One way to store a layer. */
export interface Option {
  /** In any unit that adds up over the layers, a whole number. */
  readonly cost: number;
  /** How much worse the model gets; assumed to add up over the layers too. */
  readonly loss: number;
}

/** One option for each group, in the order of the groups. */
export interface Allocation<T extends Option> {
  readonly cost: number;
  readonly loss: number;
  readonly chosen: readonly T[];
}

/** A partial choice: the option taken last, and all before it. */
interface State<T extends Option> extends Option {
  readonly option: T | undefined;
  readonly before: State<T> | undefined;
}

/**
 * All choices of one option per group that no other choice beats in both cost and loss, the cheapest first: the
 * multiple-choice knapsack for every budget at once, exact. Group by group, only undominated partial choices are kept
 * (Kellerer, Pferschy, Pisinger: Knapsack Problems, 11.5), at most one for each cost.
 */
export function frontier<T extends Option>(groups: readonly (readonly T[])[]): Allocation<T>[] {
  let states: State<T>[] = [{ cost: 0, loss: 0, option: undefined, before: undefined }];
  for (const options of groups) {
    const grown = states.flatMap((before) =>
      options.map((option) => ({ cost: before.cost + option.cost, loss: before.loss + option.loss, option, before })),
    );
    states = undominated(grown);
  }
  return states.map((state) => ({ cost: state.cost, loss: state.loss, chosen: chosenBy(state) }));
}

/** The least loss that `budget` buys, or undefined if it buys nothing. */
export function within<T extends Option>(
  allocations: readonly Allocation<T>[],
  budget: number,
): Allocation<T> | undefined {
  return allocations.filter(({ cost }) => cost <= budget).at(-1);
}

function undominated<T extends Option>(states: State<T>[]): State<T>[] {
  states.sort((a, b) => a.cost - b.cost || a.loss - b.loss);
  let least = Number.POSITIVE_INFINITY;
  return states.filter(({ loss }) => {
    const better = loss < least;
    if (better) least = loss;
    return better;
  });
}

function chosenBy<T extends Option>(state: State<T>): T[] {
  const chosen: T[] = [];
  for (let at: State<T> | undefined = state; at?.option; at = at.before) chosen.push(at.option);
  return chosen.reverse();
}
