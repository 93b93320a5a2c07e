"""The recommender of two id tables and an MLP in eager PyTorch, with the same weights, on one thread: the other side of
benchmark.py and of the speed tests. As fast as eager code goes: no gradients where none are asked for, relu in place, one row
for the user.

    from eager import best              in a file beside examples/eager.py
"""
try:
    import torch
except ImportError:
    torch = None  # then nothing here can be called


def build(params, architecture):
    """(the users' table, the items' table, the MLP)"""
    torch.set_num_threads(1)
    users, items = (torch.nn.Embedding.from_pretrained(torch.tensor(params[f"table{f}"]), freeze=False) for f in (0, 1))
    layers = []
    for layer in range(len(architecture.hidden) + 1):
        linear = torch.nn.Linear(*params[f"w{layer}"].shape)
        linear.weight.data, linear.bias.data = torch.tensor(params[f"w{layer}"].T.copy()), torch.tensor(params[f"b{layer}"])
        layers += [linear, torch.nn.ReLU(inplace=True)]
    return users, items, torch.nn.Sequential(*layers[:-1])


def step(params, architecture, pairs, labels):
    """The function that trains on a batch once, by Adam."""
    users, items, mlp = build(params, architecture)
    adam = torch.optim.Adam([*users.parameters(), *items.parameters(), *mlp.parameters()], 2e-3)
    loss, (u, i, y) = torch.nn.BCEWithLogitsLoss(), map(torch.from_numpy, (*pairs, labels))

    def train():
        adam.zero_grad()
        value = loss(mlp(torch.cat([users(u), items(i)], 1))[:, 0], y)
        value.backward()
        adam.step()
        return value.item()

    return train


def best(params, architecture, user, k, prepared):
    """The function that finds the K best of all items for one user: (scores, items)."""
    users, items, mlp = build(params, architecture)
    user, everything = torch.tensor([user]), torch.arange(architecture.rows[1])
    with torch.no_grad():
        of_user, of_item = mlp[0].weight.T.split(architecture.columns)
        share = items.weight @ of_item + mlp[0].bias

    @torch.inference_mode()
    def find():
        if prepared:
            return torch.topk(mlp[1:](share + users(user) @ of_user)[:, 0], k)
        return torch.topk(mlp(torch.cat([users(user).expand(len(everything), -1), items(everything)], 1))[:, 0], k)

    return find
